"""The open training set: tiles of openly licensed pictures, named one by one in a list.

The list (`data/open/tiles.csv`) says for each tile where its picture lies, what the picture's
bytes hash to, under which licence it stands and who is to be credited, by which factor the picture
is reduced, and which box of the result the tile is.
"""

import csv
import io
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from PIL import Image, ImageOps, UnidentifiedImageError

from ccsr.atomic import make_folder, replacing
from ccsr.bundled import resource_dir
from ccsr.datasets.gather import Task, within
from ccsr.datasets.remote import RemoteFile

ATTRIBUTION = "ATTRIBUTION.csv"
Box = tuple[int, int, int, int]


@dataclass(frozen=True)
class Tile:
    """One row of the list.

    Attributes:
        name: of the tile, without suffix.
        file: the picture that it is cut from.
        licence: of the picture.
        stated_in: file of the repository that says so.
        credit: whom to name.
        factor: by which the picture is reduced before the tile is cut, at most 1.
        box: left, top, right and bottom in pixels of the reduced picture.
        kind: of picture, if the tile is set aside for validation; else empty.
    """

    name: str
    file: RemoteFile
    licence: str
    stated_in: str
    credit: str
    factor: float
    box: Box
    kind: str = ""

    @property
    def place(self) -> Path:
        """Where it lies in the folder that is built."""
        folder = Path("val", self.kind) if self.kind else Path("train")
        return folder / f"{self.name}.webp"


def tiles() -> list[Tile]:
    """All tiles, those that teach most first, without the siblings of validation tiles.

    Another tile of a picture that validation uses is no picture to train on.
    """
    folder = resource_dir("open")
    with (folder / "validation.csv").open(newline="", encoding="utf-8") as stream:
        kinds = {row["name"]: row["kind"] for row in csv.DictReader(stream)}
    with (folder / "tiles.csv").open(newline="", encoding="utf-8") as stream:
        listed = [_tile(row, kinds.get(row["name"], "")) for row in csv.DictReader(stream)]
    aside = {tile.file for tile in listed if tile.kind}
    return [tile for tile in listed if tile.kind or tile.file not in aside]


def tasks(chosen: Sequence[Tile], folder: Path) -> list[Task]:
    """What is left to do to have these tiles in `folder`: one task per picture."""
    by_picture: dict[RemoteFile, list[Tile]] = {}
    for tile in chosen:
        if not within(folder, str(tile.place)).is_file():
            by_picture.setdefault(tile.file, []).append(tile)
    return [
        Task(file, _cutting(of, folder), folders=tuple((folder / tile.place).parent for tile in of))
        for file, of in by_picture.items()
    ]


def write_attribution(chosen: Iterable[Tile], folder: Path) -> None:
    """Write who is to be credited for each tile that is there, as the licences ask for."""
    text = io.StringIO()
    rows = csv.writer(text, lineterminator="\n")
    rows.writerow(["file", "licence", "stated in", "credit", "picture", "changes"])
    for tile in chosen:
        if (folder / tile.place).is_file():
            changes = f"cut to {tile.box}"
            if tile.factor < 1:
                changes = f"reduced to {tile.factor:g}, {changes}"
            stated = f"https://github.com/{tile.file.repo}/blob/{tile.file.commit}"
            place, address = tile.place.as_posix(), tile.file.address()
            stated_in = f"{tile.stated_in} of {stated}"
            rows.writerow([place, tile.licence, stated_in, tile.credit, address, changes])
    with replacing(folder / ATTRIBUTION) as part:
        part.write_text(text.getvalue(), encoding="utf-8")


def _tile(row: dict[str, str], kind: str) -> Tile:
    left, top, right, bottom = (int(row[side]) for side in ("left", "top", "right", "bottom"))
    return Tile(
        name=row["name"],
        file=RemoteFile(
            row["sha256"], int(row["bytes"]), row["path"], repo=row["repo"], commit=row["commit"]
        ),
        licence=row["licence"],
        stated_in=row["stated_in"],
        credit=row["credit"],
        factor=float(row["factor"]),
        box=(left, top, right, bottom),
        kind=kind,
    )


def _cutting(of_picture: Sequence[Tile], folder: Path) -> Callable[[Path], None]:
    """What cuts these tiles, all of one picture, out of a copy of it."""

    def cut(copy: Path) -> None:
        label = of_picture[0].file.label
        try:
            with Image.open(copy) as picture:
                upright = ImageOps.exif_transpose(picture).convert("RGB")
        except UnidentifiedImageError as error:
            raise ValueError(f"{label} is in no format that this Pillow reads") from error
        except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
            raise ValueError(f"{label} cannot be read by this Pillow: {error}") from error
        for tile in of_picture:
            width, height = (max(1, round(side * tile.factor)) for side in upright.size)
            if tile.box[2] > width or tile.box[3] > height:
                raise ValueError(f"{label} is too small for the tile {tile.box}: {width}x{height}")
            reduced = upright
            if tile.factor != 1:
                reduced = upright.resize((width, height), Image.Resampling.BICUBIC)
            path = folder / tile.place
            make_folder(path)
            with replacing(path) as part:
                reduced.crop(tile.box).save(part, "WEBP", lossless=True, quality=50, method=2)

    return cut
