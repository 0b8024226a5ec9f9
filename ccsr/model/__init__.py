"""The network: encoder -> CC layers -> decoder."""

from ccsr.model.cc_layer import CCLayer
from ccsr.model.network import CCSR, Crop, build

__all__ = ["CCSR", "CCLayer", "Crop", "build"]
