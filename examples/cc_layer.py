"""A continuous convolution layer inside a small network that is not ours.

The network removes noise. Like many it looks at its features twice: on the image's own grid, and
on a coarser one that sees further. The usual way to the coarse grid and back is a strided and a
transposed convolution, which fixes the ratio of the two grids in the code. Two CC layers do the
same at a ratio that is an argument of `forward`.

Both networks are trained alike, and the continuous one with another ratio in each step. Then they
are compared on a photo that neither has seen::

    python examples/cc_layer.py [--steps N]
"""

import argparse
import math
import random
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ccsr import CCLayer, ProjectedGrid, image

PHOTOS = Path(__file__).resolve().parents[1] / "data" / "samples"
TRAINING_PHOTOS = ("astronaut.png", "coffee.png", "rocket.jpg")
TEST_PHOTO = "chelsea.png"
CHANNELS = 16
PATCH = 48  # pixels a side
BATCH = 8
NOISE = 0.1  # standard deviation, for values in [0, 1]
STRIDE = 2
RATIOS = (1.5, 2.0, 2.5, 3.0)  # that the continuous network meets in training
OTHER_RATIOS = (1.5, 1.6, 2.37, 3.0)  # that it is then asked for, seen or not


class Denoiser(nn.Module):
    """What both networks have: everything but the way to the coarse grid and back."""

    def __init__(self) -> None:
        super().__init__()
        self.head = convolution(3, CHANNELS)
        self.body = nn.Sequential(
            convolution(CHANNELS, CHANNELS),
            nn.ReLU(),
            convolution(CHANNELS, CHANNELS),
            nn.ReLU(),
        )
        self.tail = nn.Sequential(nn.ReLU(), convolution(CHANNELS, 3))


class Strided(Denoiser):
    """The usual network: one ratio, and sides that it divides."""

    def __init__(self) -> None:
        super().__init__()
        # as wide as the filter of a CC layer of kernel size 3 that reduces by 2
        self.down = nn.Conv2d(CHANNELS, CHANNELS, 6, STRIDE, padding=2, padding_mode="replicate")
        self.up = nn.ConvTranspose2d(CHANNELS, CHANNELS, 6, STRIDE, padding=2)

    def forward(self, x: Tensor, ratio: float = STRIDE) -> Tensor:
        """Remove the noise of `x`, (N, 3, h, w), with even h and w.

        Raises:
            ValueError: for any ratio but the stride, or odd sizes.
        """
        if ratio != STRIDE or x.shape[-2] % STRIDE or x.shape[-1] % STRIDE:
            raise ValueError(
                f"ratio and sides must fit the stride {STRIDE}, got {ratio} and {tuple(x.shape)}"
            )
        features = self.head(x)  # (N, C, h, w)
        coarse = self.body(self.down(features))  # (N, C, h / 2, w / 2)
        residual: Tensor = self.tail(features + self.up(coarse))  # (N, 3, h, w)
        return x + residual


class Continuous(Denoiser):
    """The same network with CC layers: any ratio, any sides."""

    def __init__(self) -> None:
        super().__init__()
        self.down = CCLayer(CHANNELS, CHANNELS, kernel_size=3)
        self.up = CCLayer(CHANNELS, CHANNELS, kernel_size=3)

    def forward(self, x: Tensor, ratio: float = STRIDE) -> Tensor:
        """Remove the noise of `x`, (N, 3, h, w), by way of a grid that is `ratio` times coarser."""
        fine = (x.shape[-2], x.shape[-1])
        small = (round(fine[0] / ratio), round(fine[1] / ratio))
        # exactly this ratio, whatever the rounded sizes: both grids share their centre
        down = ProjectedGrid.project(fine, small, scale=1 / ratio, anchor="centred")
        up = ProjectedGrid.project(small, fine, scale=ratio, anchor="centred")
        features = self.head(x)  # (N, C, h, w)
        coarse = self.body(self.down(features, down))  # (N, C, h / ratio, w / ratio)
        enlarged = self.up(coarse, up)  # (N, C, h, w)
        residual: Tensor = self.tail(features + enlarged)  # (N, 3, h, w)
        return x + residual


def convolution(in_channels: int, out_channels: int) -> nn.Conv2d:
    """A 3x3 convolution that keeps the size."""
    return nn.Conv2d(in_channels, out_channels, 3, padding=1, padding_mode="replicate")


def load(name: str) -> Tensor:
    """Return a photo as a tensor (3, h, w) in [0, 1]."""
    return image.to_tensor(image.read(PHOTOS / name))


def noisy(clean: Tensor) -> Tensor:
    """Add Gaussian noise."""
    return clean + NOISE * torch.randn_like(clean)


def patches(photos: list[Tensor]) -> Tensor:
    """Cut a batch of patches at random places: (BATCH, 3, PATCH, PATCH)."""
    batch = []
    for photo in random.choices(photos, k=BATCH):
        top = random.randint(0, photo.shape[1] - PATCH)
        left = random.randint(0, photo.shape[2] - PATCH)
        batch.append(photo[:, top : top + PATCH, left : left + PATCH])
    return torch.stack(batch)


def train(network: Denoiser, ratios: Sequence[float], steps: int) -> tuple[float, float]:
    """Train a network, with one of the ratios after the other.

    Returns:
        Its mean loss over the first and over the last tenth of the steps.
    """
    torch.manual_seed(0)
    random.seed(0)
    photos = [load(name) for name in TRAINING_PHOTOS]
    optimizer = torch.optim.Adam(network.parameters(), lr=2e-3)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    losses = []
    for step in range(steps):
        clean = patches(photos)
        loss = F.mse_loss(network(noisy(clean), ratios[step % len(ratios)]), clean)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
        losses.append(loss.item())
    tenth = max(1, steps // 10)
    return sum(losses[:tenth]) / tenth, sum(losses[-tenth:]) / tenth


def result(network: Denoiser, given: Tensor, clean: Tensor, ratio: float) -> str:
    """Say how near to `clean` a network comes: PSNR in dB, or that it cannot run."""
    try:
        with torch.no_grad():
            restored = network(given, ratio)
    except ValueError:
        return "cannot"
    return f"{psnr(restored, clean):.2f}"


def psnr(restored: Tensor, clean: Tensor) -> float:
    """Peak signal-to-noise ratio in dB."""
    return -10 * math.log10(F.mse_loss(restored, clean).item())


def compare(strided: Denoiser, continuous: Denoiser) -> None:
    """Print a table: what each network makes of a photo, by ratio and size."""
    torch.manual_seed(1)
    photo = load(TEST_PHOTO)[None]
    even = photo[..., : photo.shape[-2] // 2 * 2, : photo.shape[-1] // 2 * 2]
    odd = photo[..., :-1, :] if photo.shape[-2] % 2 == 0 else photo
    print(f"\n{TEST_PHOTO}, PSNR in dB\n")
    print(f"{'size':>9} {'ratio':>6} {'noisy':>8} {'strided':>8} {'continuous':>11}")
    for clean, ratio in ((even, STRIDE), (odd, STRIDE), *((even, ratio) for ratio in OTHER_RATIOS)):
        given = noisy(clean)
        size = f"{clean.shape[-1]}x{clean.shape[-2]}"
        results = [result(network, given, clean, ratio) for network in (strided, continuous)]
        print(f"{size:>9} {ratio:>6} {psnr(given, clean):>8.2f} {results[0]:>8} {results[1]:>11}")


def main() -> None:
    """Train both networks, compare them, and print what came of it."""
    parser = argparse.ArgumentParser(description="A CC layer in place of strided convolutions.")
    parser.add_argument("--steps", type=int, default=800, help="of training, for each network")
    steps = parser.parse_args().steps
    if steps < 1:
        parser.error(f"steps must be at least 1, got {steps}")
    torch.set_num_threads(1)  # layers this small gain nothing from more
    torch.manual_seed(0)
    strided, continuous = Strided(), Continuous()
    for network, ratios in ((strided, (STRIDE,)), (continuous, RATIOS)):
        name = type(network).__name__.lower()
        count = sum(parameter.numel() for parameter in network.parameters())
        first, last = train(network, ratios, steps)
        print(f"{name}: {count} parameters, loss {first:.5f} at first, {last:.5f} at last")
    compare(strided, continuous)


if __name__ == "__main__":
    main()
