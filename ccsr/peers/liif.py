"""LIIF (Chen et al. 2021, arXiv 2012.09161): an MLP on features and the offset from them."""

import re
import warnings
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ccsr.model import CCSR, build
from ccsr.model.network import parts_of
from ccsr.model.registry import check_counts
from ccsr.peers.head import Ensemble, mlp, unfolded

EDSR_BASELINE: dict[str, Any] = {  # what the authors published, as :func:`build` takes it
    "encoder": {"name": "edsr", "channels": 64, "blocks": 16},
    "stack": {"name": "ccsr.peers.liif:LIIF", "hidden": 256},
    "decoder": {"name": "identity"},
    "base": "none",
}
_NAMES = (  # of the authors' parts, and ours
    (r"^encoder\.head\.0\.", "encoder.head."),
    (r"^encoder\.body\.16\.", "encoder.tail."),
    (r"^encoder\.body\.(\d+)\.body\.", r"encoder.body.\1."),
    (r"^imnet\.layers\.", "stack.imnet."),
)


class LIIF(Ensemble):
    """Features unfolded over 3x3 pixels, with offset and output pixel's size, through an MLP.

    Args:
        in_channels: channels of the encoder's features.
        hidden: width of the MLP's four hidden layers.
    """

    def __init__(self, in_channels: int, hidden: int = 256) -> None:
        check_counts(hidden=hidden)
        super().__init__(4 * max(9 * in_channels + 4, hidden))
        self.imnet = mlp(9 * in_channels + 4, hidden, layers=4)

    def prepare(self, features: Tensor) -> Tensor:
        """See :meth:`Ensemble.prepare`."""
        return unfolded(features)

    def answer(self, near: Tensor, offset: Tensor, cell: Tensor) -> Tensor:
        """See :meth:`Ensemble.answer`."""
        shape = (*near.shape[:-1], 2)
        answer: Tensor = self.imnet(torch.cat((near, offset.expand(shape), cell.expand(shape)), -1))
        return answer


def published(path: str | Path) -> CCSR:
    """Read the authors' file of LIIF on EDSR-baseline as a network of ours that gives the same.

    Theirs takes and gives levels in [-1, 1], ours takes them in [-0.5, 0.5] and gives [0, 1]: the
    first and the last weights say so. Their picture is not added to bicubic's.

    Args:
        path: of their `.pth` file. It is a pickle, of which nothing but tensors is read.

    Returns:
        The network: float32, on the CPU, in evaluation mode.

    Raises:
        OSError: if the file cannot be read.
        ValueError: if it holds anything else.
    """
    if not Path(path).is_file():
        raise FileNotFoundError(f"expected LIIF's file of EDSR-baseline, got no file at {path}")
    stored = _stored(Path(path))
    model = parts_of(build(**EDSR_BASELINE))
    own = model.state_dict()
    given = {_renamed(name): value for name, value in stored.items() if "_mean." not in name}
    for name in own.keys() | given.keys():
        expected, got = (
            tuple(each[name].shape) if name in each else "none" for each in (own, given)
        )
        if expected != got:
            raise ValueError(
                f"{path}: expected the weights of LIIF on EDSR-baseline (16 blocks of 64 channels, "
                f"an MLP 256 wide), got the shape {got} for {name!r} instead of {expected}"
            )
    if not all(bool(value.isfinite().all()) for value in given.values()):
        raise ValueError(f"{path}: expected finite weights: get the file again")
    last = "stack.imnet.8."
    given["encoder.head.weight"] = 2 * given["encoder.head.weight"]
    given[last + "weight"] = given[last + "weight"] / 2
    given[last + "bias"] = (given[last + "bias"] + 1) / 2
    model.load_state_dict(given)
    return model.eval()


def _stored(path: Path) -> dict[str, Tensor]:
    """The tensors of the authors' file, by their names."""
    try:
        with warnings.catch_warnings(action="ignore"):  # of pickles that it does not expect
            weights = torch.load(path, "cpu", weights_only=True)["model"]["sd"]
        return {str(name): value.float() for name, value in weights.items()}
    except OSError:
        raise
    except Exception as error:  # whatever a pickle that is none, or holds something else, leads to
        raise ValueError(  # not the advice of torch, which is to trust any file
            f"{path}: expected LIIF's file of EDSR-baseline, `edsr-baseline-liif.pth`, got "
            f"something else ({type(error).__name__})"
        ) from error


def _renamed(name: str) -> str:
    """Our name of what the authors call `name`."""
    for theirs, ours in _NAMES:
        name = re.sub(theirs, ours, name)
    return name
