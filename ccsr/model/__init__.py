"""The network is encoder -> CC layers -> decoder."""

from ccsr.model.cc_layer import CCLayer
from ccsr.model.description import build
from ccsr.model.network import CCSR
from ccsr.model.whole import Crop, Network

__all__ = ["CCSR", "CCLayer", "Crop", "Network", "build"]
