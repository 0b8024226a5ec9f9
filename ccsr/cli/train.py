"""`ccsr train key=value ...`: train a model, with settings as Hydra takes them."""

import runpy
import sys
from collections.abc import Sequence


def main(argv: Sequence[str]) -> int:
    """Run `ccsr train` with the arguments after that word; returns the exit code.

    It is run as `python -m ccsr.training.train`, so that the processes of a distributed training
    can be launched in the same way.

    Raises:
        SystemExit: with another exit code than 0.
    """
    kept = sys.argv
    sys.argv = ["ccsr train", *argv]
    try:
        runpy.run_module("ccsr.training.train", run_name="__main__", alter_sys=True)
    finally:
        sys.argv = kept
    return 0
