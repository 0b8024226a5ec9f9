"""The memory that decoding takes, estimated by what a file's header says."""

from typing import NamedTuple

from PIL import Image

from ccsr import device
from ccsr.image import deep
from ccsr.image.exr import ExrFile
from ccsr.image.pfm import PfmFile
from ccsr.image.picture import Size
from ccsr.image.psd import PsdFile
from ccsr.image.tiff import TiffFile

# Bytes a pixel at the worst moment, by channels: Pillow's, twice those handed on, and ours.
_SHALLOW = {1: 5, 2: 11, 3: 14, 4: 16}
_DEEP = {1: 8, 2: 16, 3: 23, 4: 28}
_WIDE = 28  # of 32 bits
_DECODERS = {"WEBP": 8, "AVIF": 8, "HEIF": 8, "JPEG2000": 8, "JPEG": 6}  # what these hold besides
_CHANNELS = {
    "1": 1,
    "L": 1,
    "I": 1,
    "F": 1,
    "LA": 2,
    "La": 2,
    "RGBA": 4,
    "RGBa": 4,
    "PA": 4,
    "P": 4,
}


class Demand(NamedTuple):
    """The memory that decoding one frame or several takes.

    Attributes:
        pixel_bytes: of the largest decoded pixel.
        held: bytes of them all, decoded.
        most: bytes of the frame that takes most while it is decoded.
    """

    pixel_bytes: int = 0
    held: int = 0
    most: int = 0

    def plus(self, other: "Demand") -> "Demand":
        """The memory that the frames of two files take together."""
        return Demand(
            max(self.pixel_bytes, other.pixel_bytes),
            self.held + other.held,
            max(self.most, other.most),
        )

    def times(self, frames: int) -> "Demand":
        """The memory of an animation of such frames, which are brought to one kind."""
        return self if frames == 1 else self._replace(held=2 * frames * self.held)

    def check(self, size: Size, frames: int) -> None:
        """Make sure that so much memory is free.

        Args:
            size: (h, w) of the first frame, for the message.
            frames: their number, likewise.

        Raises:
            NoRoomError: if there is not.
        """
        times = f"{frames} times " if frames > 1 else ""
        device.require(
            self.held + self.most,
            f"decoding {times}{size[1]}x{size[0]} pixels",
            "reduce or cut it first, or close other programs",
        )


def of(image: Image.Image) -> Demand:
    """The memory for the frame that `image`, opened and not yet decoded, is at."""
    channels = _CHANNELS.get(image.mode.partition(";")[0], 3)
    pixels = image.width * image.height
    if isinstance(image, TiffFile) and image.rare:
        held = max(3, min(image.samples, 4)) * (4 if image.holds_floats else 2)
        return Demand(held, held * pixels, (held + 2 * image.stored_bytes) * pixels)
    if isinstance(image, ExrFile):
        most = (2 * image.stored_bytes + 3 * image.pixel_bytes) * image.stored_pixels
        return Demand(image.pixel_bytes, image.pixel_bytes * pixels, most)
    if isinstance(image, PfmFile):
        return Demand(image.pixel_bytes, image.pixel_bytes * pixels, 2 * image.pixel_bytes * pixels)
    if isinstance(image, PsdFile) and image.has_alpha:
        channels = min(channels + 1, 4)
    wide = image.mode in ("I", "F")
    is_deep = wide or image.mode.startswith("I;16") or deep.is_deep(image)
    most = _WIDE if wide else (_DEEP if is_deep else _SHALLOW)[channels]
    most += _DECODERS.get(str(image.format), 0)
    most += 16 * channels if is_deep and image.format == "PPM" else 0  # numbers, and their texts
    pixel_bytes = channels * (4 if image.mode == "F" else 2 if is_deep else 1)
    return Demand(pixel_bytes, pixel_bytes * pixels, (most - pixel_bytes) * pixels)
