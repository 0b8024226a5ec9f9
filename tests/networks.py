"""Small networks for the tests."""

import torch
import yaml

from ccsr.bundled import resource_dir
from ccsr.model import CCSR, build


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
