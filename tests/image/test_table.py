"""Every cell of the tables in docs/files.md, and the document itself."""

import io
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from PIL import Image

import picture_files as makers
import picture_table as table
from ccsr import image
from ccsr.image import Metadata, Output, Picture, opening, profiles

EXTRA = {"HEIC": "pillow_heif", "OpenEXR": "OpenEXR", ".exr": "OpenEXR"}
LOSSY = {  # levels
    "JPEG": 4, "AVIF": 5, "HEIC": 6, "CMYK": 4, "CMYK, 16 bits": 4, ".jpg": 4, ".avif": 5
}  # fmt: skip


def as_colour(values: np.ndarray) -> np.ndarray:
    """Grey as the colour that some formats make of it."""
    if values.shape[2] > 2:
        return values
    return np.concatenate((values[..., :1].repeat(3, 2), values[..., 1:]), 2)


def close(got: np.ndarray, expected: np.ndarray, most: float) -> bool:
    """Whether levels are the same, hidden colours and a larger range for grey aside."""
    if got.shape[2] != expected.shape[2]:
        got, expected = as_colour(got), as_colour(expected)
    if got.shape != expected.shape:
        return False
    difference = np.abs(got.astype(float) - expected.astype(float))
    if expected.shape[2] in (2, 4):
        difference[..., :-1][expected[..., -1] == 0] = 0
    return bool(difference.max() <= most)


def cases(which: dict[str, tuple[str, ...]], formats: tuple[str, ...]) -> list[Any]:
    return [
        pytest.param(kind, name, cell, id=f"{name}: {kind}")
        for kind, name, cell in table.cells(which, formats)
    ]


@pytest.mark.parametrize(("kind", "name", "cell"), cases(table.READING, table.READ))
def test_what_is_read(tmp_path: Path, kind: str, name: str, cell: str) -> None:
    if name in EXTRA:
        pytest.importorskip(EXTRA[name])
    maker = makers.MAKERS.get((kind, name))
    assert (maker is None) == (cell == table.NONE)
    if maker is None:
        return
    data, expected = maker()
    (tmp_path / "a").write_bytes(data)
    if cell == table.REFUSED:
        with pytest.raises(OSError, match=r"cannot read .*/a: .{20,}"):
            image.read(tmp_path / "a")
        return
    picture = image.read(tmp_path / "a")
    assert (*picture.notes, *picture.dropped) == (
        () if cell == table.KEPT else tuple(cell.split(", "))
    )
    frames = expected if isinstance(expected, list) else [expected]
    assert len(picture.frames) == len(frames)
    most = LOSSY.get(name, LOSSY.get(kind, 0))
    for got, frame in zip(picture.frames, frames, strict=True):
        assert got.dtype == frame.dtype
        assert close(got, frame, most)
    if kind.startswith("animation"):
        assert picture.durations == (50.0,) * len(frames)


def to_write(kind: str) -> Picture:
    """A picture of that kind: 40x44, since encoders work in blocks of up to 16."""
    rng = np.random.default_rng(0)
    down, across = np.mgrid[0:40, 0:44]
    grey = (down * 2 + across * 3)[..., None] % 250
    values = np.concatenate((grey, 250 - grey, (across * 5)[..., None]), 2)
    values = values if "colour" in kind or "pages" in kind else grey
    if "alpha" in kind:
        alpha = np.where(across < 20, 0, np.where(across < 32, 255, 128))
        values = np.concatenate((values, alpha[..., None]), 2)
    frames = [values.astype(np.uint8)]
    if "16 bits" in kind:
        frames = [values.astype(np.uint16) * 257 - rng.integers(0, 2, values.shape).astype("u2")]
        frames[0][values == 0] = 0
    if "floats" in kind:
        frames = [values.astype(np.float32) / 255]
    if "animation" in kind:
        frames += [frames[0][::-1].copy()]
        return Picture(tuple(frames), durations=(50.0, 70.0), loop=3)
    return Picture((*frames, frames[0][:20]) if "pages" in kind else tuple(frames))


def seen(path: Path, number: int, floats: bool) -> np.ndarray:
    """A frame by another reader: libvips, or tifffile, or Pillow for what neither of them reads.

    PFM is taken apart by its specification. OpenEXR is read by its library, and its light becomes
    levels of sRGB by the formula of IEC 61966-2-1.
    """
    if path.suffix == ".exr":
        import OpenEXR

        found = OpenEXR.File(str(path), separate_channels=True).channels()
        light = np.stack([found[name].pixels for name in ("Y", *"RGBA") if name in found], axis=-1)
        alpha = light.shape[2] in (2, 4)
        if alpha:
            light[..., :-1] /= np.where(light[..., -1:] > 0, light[..., -1:], 1)
        curve = np.where(
            light <= 0.0031308, light * 12.92, 1.055 * light.clip(0) ** (1 / 2.4) - 0.055
        )
        return np.concatenate((curve[..., :-1], light[..., -1:]), 2) if alpha else curve
    if path.suffix == ".pfm":
        kind, size, _, pixels = path.read_bytes().split(b"\n", 3)
        width, height = map(int, size.split())
        return np.frombuffer(pixels, "<f4").reshape(height, width, 1 + 2 * (kind == b"PF"))[::-1]
    if path.suffix == ".tif" and not floats:
        with tifffile.TiffFile(path) as file:
            values = file.pages[number].asarray()
    elif path.suffix in (".bmp", ".avif") or (path.suffix == ".png" and number):
        with Image.open(path) as opened:
            opened.seek(number)
            values = np.asarray(opened)
    else:
        pyvips = pytest.importorskip("pyvips")
        options = {"page": number} if path.suffix in (".gif", ".webp") else {}
        values = pyvips.Image.new_from_file(str(path), **options).numpy()
    return values if values.ndim == 3 else values[..., None]


@pytest.mark.parametrize(("kind", "suffix", "cell"), cases(table.WRITING, table.WRITTEN))
def test_what_is_written(tmp_path: Path, kind: str, suffix: str, cell: str) -> None:
    if suffix in EXTRA:
        pytest.importorskip(EXTRA[suffix])
    picture, path = to_write(kind), tmp_path / f"a{suffix}"
    options = Output(lossless=True) if suffix == ".webp" else Output()
    options = Output(quality=100) if suffix in (".jpg", ".avif") else options
    if cell == table.REFUSED:
        with pytest.raises(ValueError, match=r"cannot write .*(hold|no transparency).*: use .*"):
            image.write(picture, path, options)
        assert not path.exists()
        return
    dropped = image.write(picture, path, options)
    assert dropped == (() if cell == table.KEPT else tuple(cell.split(", ")))
    most = LOSSY.get(suffix, 0)
    for number, frame in enumerate(picture.frames):
        got = seen(path, number, frame.dtype == np.float32)
        if suffix in (".pfm", ".exr") and frame.dtype != np.float32:
            frame = frame / np.float32(np.iinfo(frame.dtype).max)
        for became, dtype in ((table.F16, np.uint16), (table.F8, np.uint8)):
            if became in dropped:
                frame = np.round(frame * np.iinfo(dtype).max).astype(dtype)
        if table.E in dropped:
            frame = np.round(frame / 257).astype(np.uint8)
        if suffix == ".exr":
            assert close(got, frame, 3e-6)
            continue
        assert got.dtype == frame.dtype
        if table.H in dropped:
            frame = frame.copy()
            frame[..., -1] = np.where(frame[..., -1] > 127, 255, 0)
        assert close(got, frame, 40 if table.C in dropped else most)


def described(kind: str) -> Picture:
    """A picture with that description, and no other."""
    exif = Image.Exif()
    exif[0x010F] = "Maker"
    code = {"HDR (PQ) by code points": (9, 16), "colours by code points": (12, 13)}.get(kind)
    colours = profiles.of_code(*code) if code else profiles.adobe()
    picture = to_write("grey" if "grey" in kind else "colour")
    assert colours
    return replace(
        picture,
        metadata=Metadata(
            profile=colours.profile(picture.frames[0].shape[2])
            if "colour" in kind or code
            else None,
            exif=exif.tobytes() if kind == "EXIF" else None,
            xmp=b'<a xmlns="b"/>' if kind == "XMP" else None,
            dpi=(254.0, 508.0) if "resolution" in kind else None,
            code=code,
        ),
    )


@pytest.mark.parametrize(("kind", "suffix", "cell"), cases(table.DESCRIBING, table.WRITTEN))
def test_what_is_written_of_descriptions(tmp_path: Path, kind: str, suffix: str, cell: str) -> None:
    if suffix in EXTRA:
        pytest.importorskip(EXTRA[suffix])
    picture, path = described(kind), tmp_path / f"a{suffix}"
    dropped = image.write(picture, path)
    allowed = {table.C}  # of GIF, which is not about descriptions
    assert set(dropped) - allowed == (set() if cell == table.KEPT else set(cell.split(", ")))
    again = image.read(path).metadata
    if suffix == ".exr":  # light, whatever the levels were
        linear = profiles.of_linear(None)
        assert again == Metadata(linear.profile(1 if "grey" in kind else 3), code=(1, 8))
        return
    if cell == table.KEPT or cell == table.PQ:
        assert replace(again, dpi=None, exif=again.exif if kind == "EXIF" else None) == replace(
            picture.metadata, dpi=None
        )
        assert again.dpi == pytest.approx(picture.metadata.dpi, abs=0.02)
    else:
        assert again == Metadata()


def test_backgrounds_are_the_way_out(tmp_path: Path) -> None:
    for suffix in (".jpg", ".bmp"):
        picture = to_write("colour, alpha")
        output = Output(background=(255, 255, 255))
        assert image.write(picture, tmp_path / f"a{suffix}", output) == ()
        assert (image.read(tmp_path / f"a{suffix}").frames[0][:, :16] >= 250).all()


def test_the_document_holds_these_tables() -> None:
    text = table.DOCUMENT.read_text(encoding="utf-8")
    assert table.replaced(text) == text, "run: python tests/picture_table.py"


def test_a_document_without_marks_is_refused() -> None:
    with pytest.raises(ValueError, match="expected the marks"):
        table.replaced("text")


def test_opening_decodes_nothing_but_icons(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that the number of pixels is looked at before: of icons by `ccsr.image.icons`."""
    from PIL import ImageFile

    Image.init()
    decoded = []

    def load(self: Any) -> None:
        decoded.append(self.format)
        raise OSError

    samples = {}
    for kind in set(Image.SAVE) & set(opening.FORMATS):
        buffer = io.BytesIO()
        try:
            Image.new("RGB", (16, 16)).save(buffer, kind)
        except (OSError, ValueError, KeyError):
            continue
        samples[kind] = buffer.getvalue()
    monkeypatch.setattr(ImageFile.ImageFile, "load", load)
    for kind in samples:
        try:
            Image.open(io.BytesIO(samples[kind]), formats=[kind])
        except OSError:
            assert kind == "ICO"
    assert set(decoded) <= {"PNG"}  # the one inside the icon
