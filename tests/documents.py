"""The project's documents, what they point to and what can be pointed to in them."""

import os
import re
from pathlib import Path
from typing import NamedTuple
from urllib.parse import unquote

ROOT = Path(__file__).resolve().parents[1]
FOLDERS = (".", "benchmarks", "checkpoints", "data", "data/*", "docs", "examples", "tests")
DOCUMENTS = sorted(
    path.relative_to(ROOT).as_posix() for folder in FOLDERS for path in ROOT.glob(f"{folder}/*.md")
)

_FENCED = re.compile(r"^ {0,3}(```+|~~~+).*?^ {0,3}\1[`~]*[ \t]*$", re.MULTILINE | re.DOTALL)
_CODE = re.compile(r"(?<!`)(`+)(?!`)((?:(?!\n\s*\n).)+?)(?<!`)\1(?!`)", re.DOTALL)
_HEADING = re.compile(r"^ {0,3}#{1,6}[ \t]+(.*?)(?:[ \t]+#+)?[ \t]*$", re.MULTILINE)
_TARGETS = re.compile(
    r"""\]\(\s*<?([^)>\s]+)           # [text](target), ![picture](target "title")
      | ^[ ]{0,3}\[[^\]]+\]:\s*<?([^>\s]+)  # [name]: target
      | \b(?:href|src)="([^"]+)"      # HTML
    """,
    re.MULTILINE | re.VERBOSE,
)
_ELSEWHERE = re.compile(r"[a-z][a-z0-9+.-]*:", re.IGNORECASE)


class Link(NamedTuple):
    """A link within the project, as its document spells it.

    Attributes:
        path: the file or folder, from the top of the checkout.
        anchor: the heading, or an empty text.
    """

    path: str
    anchor: str


def read(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def links(name: str, text: str | None = None) -> list[Link]:
    """The links of a document but those to other sites; `text` stands for what it holds."""
    text = read(name) if text is None else text
    prose = _CODE.sub("", _FENCED.sub("", text))
    targets = (next(filter(None, groups)) for groups in _TARGETS.findall(prose))
    found = []
    for target in targets:
        if not _ELSEWHERE.match(target):
            path, _, anchor = unquote(target).partition("#")
            place = Path(name).parent / path if path else name
            found.append(Link(os.path.normpath(place), anchor))
    return found


def anchors(text: str) -> set[str]:
    """What can follow `#` in a link to a document, by the rules of GitHub."""
    taken: dict[str, int] = {}
    for heading in _HEADING.findall(_FENCED.sub("", text)):
        shown = re.sub(r"!?\[([^\]]*)\]\([^)]*\)", r"\1", heading)  # of a link its text
        slug = re.sub(r"[^\w\- ]", "", shown.strip().lower()).replace(" ", "-")
        again = taken.get(slug, 0)
        taken[slug] = again + 1
        if again:
            taken.setdefault(f"{slug}-{again}", 1)
    return set(taken) | set(re.findall(r'<a (?:id|name)="([^"]+)"', text))
