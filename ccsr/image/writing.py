"""Writing picture files, whole or not at all."""

from dataclasses import replace
from io import BytesIO
from itertools import pairwise, starmap
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from ccsr.atomic import replacing
from ccsr.image import backgrounds, boxes, exr, gif, pfm, png, tiff, tiff_writing
from ccsr.image.formats import DEFAULT, Format, Output, check
from ccsr.image.linear import linear_light
from ccsr.image.metadata import Metadata, save_options, unfitting
from ccsr.image.modes import (
    Levels,
    as_floats,
    deepened,
    from_levels,
    highest,
    in_srgb,
    reduced,
)
from ccsr.image.picture import Picture, Size
from ccsr.image.profiles import hdr_outside

_JOINING = ("PNG", "WEBP")  # whose writers show a frame longer instead of an equal one after it
_LONG = "timing (of long frames)"
_MOST = 65535  # times that an animation can be shown, in most formats
_LONGEST = {"WEBP": (1 << 24) - 1, "GIF": 655_350}  # milliseconds of a frame
_STEPS = (1, 10, 100, 1000)  # that PNG counts longer and longer frames in, each up to 65535


def write(
    picture: Picture | Image.Image, path: str | Path, output: Output = DEFAULT
) -> tuple[str, ...]:
    """Write `picture` in the format of the suffix of `path`.

    16 bits per channel stay so in PNG and TIFF, and are rounded for the others. Where a format
    does not hold the colour profile, the pixels are converted to sRGB.

    Returns:
        What the file does not hold of the picture, or not as it was, by names for a person; not
        what `output` asks to leave out.

    Raises:
        ValueError: see `check`.
        OSError: if the file system refuses, or the written file has another size.
    """
    path = Path(path)
    picture = picture if isinstance(picture, Picture) else Picture.of(picture)
    known = check(path, picture, output=output)
    lost: tuple[str, ...] = ()
    if not known.alpha:
        picture, lost = backgrounds.over(picture, output.background)
    described = _described(picture, output)
    profile, channels = picture.metadata.profile, picture.frames[0].shape[2]
    if why := unfitting(profile, channels) if profile else "":
        lost = (*lost, f"colour profile ({why})")
    with replacing(path) as temporary:
        dropped = _save(picture, described, temporary, known, output)
        written = _written_size(temporary, known)
        if written not in (picture.size, None):
            raise OSError(
                f"expected {picture.size[1]}x{picture.size[0]} pixels in the file, got "
                f"{written[1]}x{written[0]}"
            )
    return (*lost, *dropped)


def _described(picture: Picture, output: Output) -> tuple[Metadata, ...]:
    """What is said of each frame; of those that are alike, as in an animation, found out once."""
    found: dict[tuple[int, tuple[int, ...]], Metadata] = {}
    every = list(zip(picture.descriptions, picture.frames, strict=True))
    for each, frame in every:
        if (id(each), frame.shape) not in found:
            written = output.describing(each, (frame.shape[0], frame.shape[1]))
            found[id(each), frame.shape] = written.fitting(frame.shape[2])
    return tuple(found[id(each), frame.shape] for each, frame in every)


def _save(
    picture: Picture, of_each: tuple[Metadata, ...], path: Path, known: Format, output: Output
) -> tuple[str, ...]:
    """Write the file, with what is said `of_each` frame; returns what it does not hold."""
    if not known.floats and any(frame.dtype == np.float32 for frame in picture.frames):
        lost = _float_losses(picture, known)
        picture = picture.map(lambda frame: _without_floats(frame, known))
        return (*lost, *_save(picture, of_each, path, known, output))
    first, described = picture.frames[0], of_each[0]
    grey = first.shape[2] < 3
    if known.pillow == "TIFF":
        tiff_writing.write(path, list(map(tiff_writing.Page.of, picture.frames, of_each)))
        return tuple(dict.fromkeys(name for each in of_each for name in hdr_outside(each.code)))
    if known.pillow == "PFM":
        pfm.write(path, as_floats(first))
        return (*hdr_outside(described.code), *_descriptions(described))
    if known.pillow == "EXR":
        light, lost = _linear(first, described.profile)
        exr.write(path, light)
        rest = _descriptions(replace(described, profile=None))
        return (*lost, *hdr_outside(described.code), *rest)
    if known.pillow == "PNG" and not picture.several:
        png.write(path, first, described)
        return ()
    dropped = [] if known.coded else list(hdr_outside(described.code))
    if known.pillow == "AVIF" and described.code and (hdr_outside(described.code) or grey):
        described = replace(described, profile=None)  # which readers would take first
    profile = described.profile
    if profile and first.shape[2] not in known.profiles:
        picture = picture.map(lambda frame: in_srgb(frame, profile))
        described = replace(described, profile=None, code=None)
        dropped.append("colour profile (converted to sRGB)")
    if first.dtype == np.uint16:
        dropped.append("precision (16 bits became 8)")
        picture = picture.map(reduced)
    options, unheld = save_options(described, known.pillow)
    dropped += unheld
    # Not to the path: some of Pillow's writers do not notice that a full disk took only a part.
    path.write_bytes(_encoded(picture, described, known, output, options, dropped))
    return tuple(dropped)


def _encoded(
    picture: Picture,
    described: Metadata,
    known: Format,
    output: Output,
    described_options: dict[str, Any],
    dropped: list[str],
) -> bytes:
    """A file of 8-bit frames; notes in `dropped` what the format does not hold of them."""
    if known.pillow == "GIF":
        return _gif(picture, dropped)
    images = [from_levels(frame) for frame in picture.frames]
    options = known.options | described_options
    if output.lossless and known.lossless is not None:
        options |= known.lossless
    elif output.quality is not None and known.tunable:
        options["quality"] = output.quality
    if picture.several:
        options |= {"save_all": True, "append_images": images[1:]} | _timing(
            picture, dropped, known
        )
        if known.pillow in _JOINING and any(starmap(np.array_equal, pairwise(picture.frames))):
            dropped.append("equal frames (joined)")
    buffer = BytesIO()
    images[0].save(buffer, known.pillow, **options)
    encoded = buffer.getvalue()
    if described.code and known.pillow == "PNG":
        encoded = png.with_code(encoded, described.code)
    if known.pillow == "AVIF":
        encoded = boxes.without_times(encoded)
        encoded = boxes.with_nclx(encoded, described.code) if described.code else encoded
    if known.pillow == "WEBP" and picture.has_alpha:
        encoded = _with_alpha_flag(encoded)
    return encoded


def _gif(picture: Picture, dropped: list[str]) -> bytes:
    frames = tuple(map(_on_or_off, picture.frames))
    pairs = zip(picture.frames, frames, strict=True)
    if any((before[..., -1] != after[..., -1]).any() for before, after in pairs):
        dropped.append("partial transparency")
    encoded, exact = gif.encoded(frames, picture.durations, picture.loop)
    if not exact:
        dropped.append("colours (256 a frame)")
    if any(duration % 10 for duration in picture.durations):
        dropped.append("timing (hundredths of a second)")
    if max(picture.durations, default=0) > _LONGEST["GIF"]:
        dropped.append(_LONG)
    return encoded


def _float_losses(picture: Picture, known: Format) -> tuple[str, ...]:
    """What is lost of floats in a format of whole numbers."""
    bits = known.depth if not picture.several else 8
    outside = any(frame.min() < 0 or frame.max() > highest(frame) for frame in picture.frames)
    lost = (f"precision (32-bit floats became {bits} bits)",)
    return (*lost, "values beyond black and white") if outside else lost


def _linear(values: Levels, profile: bytes | None) -> tuple[Levels, tuple[str, ...]]:
    """Linear light of levels, alpha as it is; and what is lost where only Pillow converts them."""
    colours = values.shape[2] - (values.shape[2] in (2, 4))
    light = linear_light(as_floats(values[..., :colours]), profile)
    if light is not None:
        return np.concatenate((light, as_floats(values)[..., colours:]), axis=2), ()
    bits = {1: (), 2: ("precision (16 bits became 8)",)}
    lost = bits.get(values.itemsize, ("precision (32-bit floats became 8 bits)",))
    converted = in_srgb(values, profile or b"")
    return _linear(converted, None)[0], ("colour profile (converted to sRGB)", *lost)


def _without_floats(values: Levels, known: Format) -> Levels:
    if values.dtype != np.float32:
        return values
    return deepened(values) if known.depth == 16 else reduced(values)


def _descriptions(described: Metadata) -> tuple[str, ...]:
    """What is lost where nothing but pixels is held."""
    held = {
        "colour profile": described.profile,
        "EXIF": described.exif,
        "XMP": described.xmp,
        "resolution": described.dpi,
    }
    return tuple(name for name, value in held.items() if value)


def _timing(picture: Picture, dropped: list[str], known: Format) -> dict[str, Any]:
    if known.pillow == "AVIF" and picture.loop:
        dropped.append("number of loops")
    if any(duration % 1 for duration in picture.durations):
        dropped.append("timing (thousandths of a second)")
    rounded = [round(duration) for duration in picture.durations]
    held = [_held(duration, known) for duration in rounded]
    if held != rounded:
        dropped.append(_LONG)
    return {
        "duration": held,
        "loop": min(picture.loop, _MOST),
    }


def _held(duration: int, known: Format) -> int:
    """The nearest number of milliseconds that a frame can last in a format."""
    if known.pillow != "PNG":
        return min(duration, _LONGEST.get(known.pillow, duration))
    step = next((step for step in _STEPS if duration <= step * _MOST), _STEPS[-1])
    return step * min(round(duration / step), _MOST)


def _with_alpha_flag(data: bytes) -> bytes:
    """A WebP that says in its header that pixels may be transparent (RFC 9649, 2.7.1.1).

    libwebp does not say it where the frames are opaque but leave parts of the canvas open.
    """
    if data[12:16] != b"VP8X":
        return data
    return data[:20] + bytes([data[20] | 16]) + data[21:]


def _written_size(path: Path, known: Format) -> Size | None:
    """(H, W) in the header; None for a WebP beyond Pillow's limit of pixels for reading.

    The reader of each other format has no limit: it is `Image.open` that checks.
    """
    if known.pillow == "TIFF":
        return tiff.size(path)
    if known.pillow in ("PFM", "EXR"):
        with (pfm if known.pillow == "PFM" else exr).open_file(path) as opened:
            return opened.height, opened.width
    reader, _ = Image.OPEN[known.pillow]
    try:
        with path.open("rb") as file, reader(file, str(path)) as image:
            return image.height, image.width
    except Image.DecompressionBombError:
        return None


def _on_or_off(values: Levels) -> Levels:
    """8-bit pixels that are opaque or not there, as GIF knows them."""
    if values.shape[2] not in (2, 4):
        return values
    seen = (values[..., -1:] > 127).astype(np.uint8) * np.uint8(255)
    return np.concatenate((values[..., :-1], seen), axis=2)
