"""Small networks to export, and exported files to run."""

import numpy as np
import onnxruntime
import torch
from PIL import Image

from ccsr import Upscaler
from ccsr.bundled import resource_dir
from ccsr.model import build

SIZES = [(1, 1), (2, 3), (17, 24), (24, 17), (31, 33), (40, 52)]
FOURIER = {"name": "fourier", "kernel_size": 3, "basis": 5}
FRIENDLY = {"name": "friendly", "channels": 6, "field": FOURIER}
LIGHT = {"name": "plain", "channels": 6, "blocks": 1}
IDENTITY = {"name": "identity"}


def network(encoder=LIGHT, stack=FRIENDLY, decoder=IDENTITY, base="bicubic"):
    """Small, and far from bicubic: a new network's last layer is zero."""
    torch.manual_seed(0)
    model = build(encoder, stack, decoder, base=base)
    with torch.no_grad():
        for parameter in model.parameters():
            if not parameter.any():
                parameter.normal_(std=0.2)
    return model


def opened(exported):
    return onnxruntime.InferenceSession(exported.SerializeToString())


def run(session, x, scale=None):
    inputs = {"image": x.numpy()} | ({} if scale is None else {"scale": np.array(scale)})
    (result,) = session.run(["enlarged"], inputs)
    return torch.from_numpy(result)


def assert_agrees(exported, upscaler, scale, sizes=SIZES, given=None):
    session = opened(exported)
    for size in sizes:
        x = torch.rand(2, 3, *size)
        result = run(session, x, given)
        torch.testing.assert_close(result, upscaler.tensor(x, scale=scale), rtol=0, atol=1e-5)


def detail(height, width):
    """Of a photo: on noise the networks multiply the errors of float32 by ten and more."""
    with Image.open(resource_dir("samples") / "chelsea.png") as picture:
        levels = np.asarray(picture.convert("RGB"), np.float32)[60 : 60 + height, 90 : 90 + width]
    return torch.from_numpy(levels / 255).permute(2, 0, 1)[None].contiguous()


def upscaler_of(model):
    return Upscaler(model, device="cpu", precision="fp32", tile="off")
