"""Options that several commands take, each written once."""

import argparse
from collections.abc import Callable, Iterable
from dataclasses import fields
from typing import Any, get_args

from ccsr.choices import Precision
from ccsr.cli import arguments

Add = Callable[..., argparse.Action]


def model(add: Add, default: str = "light", more: str = "") -> None:
    """`--model`, the network."""
    add(
        "--model", default=default, metavar="NAME|FILE",
        help="the network: a name that `ccsr models` lists, a file or a run's folder of "
        "`ccsr train`, or a file on the Hugging Face Hub, hf://USER/REPO/FILE@REVISION, pinned by "
        f"a commit or its digest{more}; default: {default}",
    )  # fmt: skip


def trust(add: Add) -> None:
    """`--trust`, for model files that name classes of other packages."""
    add(
        "--trust", nargs="+", action="extend", default=[], metavar="PACKAGE",
        help="Python packages whose classes the model's file may use: loading it then runs their "
        "code, which is not done without your word",
    )  # fmt: skip


def device(add: Add, default: str = argparse.SUPPRESS) -> None:
    """`--device`, where the network computes."""
    add(
        "--device", default=default, metavar="DEVICE",
        help="where to compute: cpu, cuda, cuda:N, mps, or auto, which takes a GPU if there is "
        "one; default: auto",
    )  # fmt: skip


def precision(add: Add, default: Precision | None = None) -> None:
    """`--precision`, the numbers that the network computes in."""
    add(
        "--precision", default=default or argparse.SUPPRESS, choices=get_args(Precision),
        help="the numbers to compute in: float32, bfloat16, or auto, which takes bfloat16 where "
        f"the processor has it; default: {default or 'auto'}",
    )  # fmt: skip


def memory(add: Add) -> None:
    """`--memory`, what computing may take."""
    add(
        "--memory", type=arguments.memory, default=argparse.SUPPRESS, metavar="AMOUNT",
        help="how much memory computing may take, such as 500MB or 2GB; a .tif larger than that "
        "is written strip by strip; default: a quarter of what is free",
    )  # fmt: skip


def limits(add: Add) -> None:
    """`--max-pixels` and `--max-frames`, of what one input may hold."""
    add(
        "--max-pixels", type=arguments.whole, default=200_000_000, metavar="N",
        help="refuse inputs with more pixels in all their frames; default: 200 million",
    )  # fmt: skip
    add(
        "--max-frames", type=arguments.whole, default=10_000, metavar="N",
        help="refuse inputs with more frames or pages; default: 10,000",
    )  # fmt: skip


def for_programs(add: Add, text: str) -> None:
    """`--json`: standard output is `text`, and standard error lines of JSON (docs/programs.md)."""
    add("--json", action="store_true", help=f"for programs: print {text}, and nothing else")


def debug(add: Add) -> None:
    """`--debug`, for whoever looks for the cause of an error."""
    add("--debug", action="store_true", help="show where in the code an error happened")


def given(args: argparse.Namespace, names: Iterable[str] | type) -> dict[str, Any]:
    """Those of the given arguments that `names` lists, or that are fields of that dataclass."""
    wanted = {field.name for field in fields(names)} if isinstance(names, type) else set(names)
    return {name: value for name, value in vars(args).items() if name in wanted}
