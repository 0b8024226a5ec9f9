"""Writing image files, whole or not at all."""

import sys
from pathlib import Path
from typing import Any

import numpy as np

from ccsr import decode, deep
from ccsr.files import replacing
from ccsr.formats import Encoding, Format, Several, check_output
from ccsr.metadata import save_options
from ccsr.modes import from_levels, mode_of, reduced
from ccsr.picture import Levels, Picture, Size

BIG_TIFF = 3_900_000_000  # bytes; beyond it a TIFF needs 64-bit offsets


def check(
    path: Path, picture: Picture, size: Size | None = None, encoding: Encoding | None = None
) -> Format:
    """`check_output` for a picture that is going to have `size` (H, W), or has its own.

    An alpha channel that hides nothing is no transparency.
    """
    channels = picture.frames[0].shape[2]
    mode = mode_of(channels if picture.has_alpha else channels - 1 + channels % 2)
    return check_output(path, size or picture.size, mode, encoding, several(picture))


def several(picture: Picture) -> Several:
    """What its frames are, if there is more than one."""
    if len(picture.frames) == 1:
        return ""
    return "animation" if picture.animated else "pages"


def write(picture: Picture, path: Path, encoding: Encoding | None = None) -> None:
    """Write `picture` in the format of the suffix of `path`.

    16 bits per channel stay so in PNG and TIFF, and are rounded for the others.

    Raises:
        ValueError: see `ccsr.formats.check_output`.
        OSError: if the file system refuses, or the written file has another size.
    """
    encoding = encoding or Encoding()
    known = check(path, picture, encoding=encoding)
    frames = (
        tuple(_without_alpha(f, encoding) for f in picture.frames)
        if not known.alpha
        else (picture.frames)
    )
    try:
        with replacing(path) as temporary:
            _save(frames, picture, temporary, known, encoding)
            written = decode.probe(temporary, max_pixels=sys.maxsize).size
            if written != picture.size:
                expected = f"{picture.size[1]}x{picture.size[0]}"
                raise OSError(
                    f"expected {expected} pixels in the file, got {written[1]}x{written[0]}"
                )
    except OSError as error:
        raise OSError(f"cannot write {path}: {error.strerror or error}") from error


def _save(
    frames: tuple[Levels, ...], picture: Picture, path: Path, known: Format, encoding: Encoding
) -> None:
    first = frames[0]
    if first.dtype == np.uint16 and known.depth == 16 and not picture.animated:
        if known.pillow == "PNG":
            deep.write_png(path, first, picture.metadata)
            return
        deep.write_tiff(path, frames, picture.metadata)
        return
    options = known.options | ((known.lossless or {}) if encoding.lossless else {})
    if encoding.quality is not None:
        options = options | {"quality": encoding.quality}
    options = options | save_options(picture.metadata, known.pillow, first.shape[2])
    if known.pillow == "TIFF" and sum(frame.nbytes for frame in frames) > BIG_TIFF:
        options["big_tiff"] = True
    images = [from_levels(reduced(frame)) for frame in frames]
    if len(images) > 1:
        options |= {"save_all": True, "append_images": images[1:]}
    if len(images) > 1 and picture.animated:
        options |= _timing(picture, known)
    images[0].save(path, known.pillow, **options)


def _timing(picture: Picture, known: Format) -> dict[str, Any]:
    timing: dict[str, Any] = {"duration": [round(d) for d in picture.durations]}
    if known.pillow == "GIF":
        # each frame is whole: what is transparent must not show the frame before
        timing["disposal"] = 2
        return timing if picture.loop is None else timing | {"loop": picture.loop}
    return timing | {"loop": 1 if picture.loop is None else picture.loop}


def _without_alpha(values: Levels, encoding: Encoding) -> Levels:
    """Colour over the background."""
    if values.shape[2] not in (2, 4):
        return values
    colour, alpha = values[..., :-1], values[..., -1:]
    if encoding.background is None:  # checked: nothing shows through
        return colour
    highest = np.iinfo(values.dtype).max
    behind = np.array(encoding.background, np.float32) * (highest / 255)
    if colour.shape[2] == 1 and len(set(encoding.background)) == 1:
        behind = behind[:1]
    share = alpha.astype(np.float32) / highest
    mixed = (colour * share + behind * (1 - share) + 0.5).clip(0, highest)
    return mixed.astype(np.uint16) if highest > 255 else mixed.astype(np.uint8)
