"""`ccsr models`: list the models that come with ccsr."""

from collections.abc import Sequence

from ccsr import terminal
from ccsr.cli import arguments, options


def parser() -> arguments.Parser:
    """The options of `ccsr models`."""
    parser = arguments.Parser("ccsr models", description="List the models that come with ccsr.")
    options.for_programs(parser.add_argument, "a JSON list of them")
    options.debug(parser.add_argument)
    return parser


def main(argv: Sequence[str]) -> int:
    """Run `ccsr models` with the arguments after that word; returns the exit code.

    Raises:
        ValueError: for a model's file that is damaged.
        OSError: for one that cannot be read.
    """
    args = parser().parse_args(argv)

    from ccsr.model.checkpoint import read_header, shipped

    found = {name: (path, read_header(path)) for name, path in shipped().items()}
    if args.json:
        listed = [
            {"name": name, "parameters": header.parameters, "file": str(path)}
            | {"summary": header.summary}
            for name, (path, header) in found.items()
        ]
        terminal.tell(terminal.as_json(listed, indent=2))
        return 0
    for name, (path, header) in found.items():
        terminal.tell(f"{name}: {header.parameters:,} parameters, {path}")
        for key, value in header.summary.items():
            text = value if isinstance(value, str) else terminal.as_json(value)
            terminal.tell(f"    {key}: {text}")
    if not found:
        terminal.tell("no models come with this installation: train one with `ccsr train`")
    return 0
