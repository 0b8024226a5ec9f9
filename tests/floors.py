"""`python tests/floors.py`: the rooms of the package by floor, and the imports between them.

A room is a package of `ccsr`, or a module that lies directly in it. Its imports are read from the
source, those in functions too, and go to rooms on lower floors only.
"""

import ast
from collections import defaultdict
from pathlib import Path

PACKAGE = Path(__file__).resolve().parents[1] / "ccsr"
FLOORS = (
    ("plain", "distribution"),
    (
        "grid",
        "device",
        "atomic",
        "bundled",
        "suggest",
        "metrics",
        "clock",
        "terminal",
        "sizes",
        "choices",
    ),
    ("image", "resample", "datasets"),
    ("model",),
    ("protocols", "peers"),
    ("upscaling", "training", "export"),
    ("evaluation", "jobs"),
    ("analysis", "web"),
    ("cli",),
)
FACE = {"__init__", "__main__"}  # hand on names of every floor


def room(module: str) -> str:
    """The room that a module, `ccsr.model.stack`, lies in."""
    return module.split(".")[1] if "." in module else "__init__"


def arrows(package: Path = PACKAGE) -> dict[tuple[str, str], set[str]]:
    """For each pair of rooms of which one imports the other, the files that do."""
    found: defaultdict[tuple[str, str], set[str]] = defaultdict(set)
    names = {path.stem for path in package.iterdir() if path.suffix == ".py" or path.is_dir()}
    for path in sorted(package.rglob("*.py")):
        place = path.relative_to(package)
        here = place.parts[0].removesuffix(".py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                modules = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom) and node.module == "ccsr":
                modules = [f"ccsr.{a.name}" for a in node.names if a.name in names]
            elif isinstance(node, ast.ImportFrom):
                modules = [node.module or ""]
            else:
                continue
            for module in modules:
                if module.split(".")[0] == "ccsr" and room(module) not in (here, "__init__"):
                    found[here, room(module)].add(str(place))
    return dict(found)


def modules(name: str) -> int:
    """How many modules a room has."""
    folder = PACKAGE / name
    return len([*folder.rglob("*.py")]) if folder.is_dir() else 1


def main() -> None:
    """Print the floors from the ground up."""
    found = arrows()
    for number, rooms in enumerate(FLOORS):
        for name in rooms:
            below = sorted(there for here, there in found if here == name)
            print(f"{number}  {name} ({modules(name)}): {', '.join(below) or 'nothing'}")


if __name__ == "__main__":
    main()
