"""Small networks for the tests."""

import torch
import yaml

from ccsr.bundled import resource_dir
from ccsr.grid import ProjectedGrid, output_size
from ccsr.model import CCSR, build

TINY = {
    "encoder": {"name": "plain", "channels": 8, "blocks": 1},
    "decoder": {"name": "pointwise", "hidden": 8},
}
FIELD = {"name": "fourier", "kernel_size": 3, "basis": 4}
STACKS = [
    {"name": "direct", "channels": 6, "field": FIELD},
    {"name": "gradual", "channels": 6, "layers": 3, "field": FIELD | {"kernel_size": 4}},
    {"name": "friendly", "channels": 6, "field": FIELD},
    {"name": "friendly", "channels": 6, "factor": 3, "field": FIELD | {"name": "mlp"}},
]
ELASTIC = {
    "encoder": {"name": "elastic", "channels": 8, "blocks": 1, "field": FIELD},
    "decoder": {"name": "identity"},
}
GRADUAL = {"name": "gradual", "channels": 3, "layers": 3, "field": FIELD}
EFFORTS = [0.25, 4 / 9, 9 / 16, 25 / 36, 1.0]


def tiny(std: float | None = 0.1) -> CCSR:
    """The smallest preset, always the same.

    Args:
        std: of its random weights; None leaves them as they start, and it is bicubic, exactly.
    """
    config = yaml.safe_load((resource_dir("conf") / "model" / "tiny.yaml").read_text())
    del config["_target_"]
    torch.manual_seed(0)
    model = build(**config)
    if std is not None:
        for weight in model.parameters():
            torch.nn.init.normal_(weight, std=std)
    return model


def conditioned() -> CCSR:
    """A small network that is told the quality of JPEGs, which changes its results visibly."""
    torch.manual_seed(0)
    encoder = TINY["encoder"] | {"blocks": 2, "conditioned": True}
    model = build(encoder, STACKS[2], {"name": "identity"}, cleans=True)
    for weight in model.parameters():
        torch.nn.init.normal_(weight, std=0.2)
    return model.eval()


def randomised(config):
    """A network whose residual is not zero."""
    torch.manual_seed(0)
    model = build(**config).eval()
    for parameter in model.parameters():
        if parameter.dim() > 1 and not parameter.any():
            torch.nn.init.normal_(parameter, std=0.1)
    return model


def grid_for(size, scale, anchor="centred"):
    return ProjectedGrid.project(size, output_size(size, scale), scale, anchor)
