"""Writing picture files, whole or not at all."""

from dataclasses import replace
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from ccsr.atomic import replacing
from ccsr.image import png, tiff
from ccsr.image.formats import DEFAULT, Format, Output, check
from ccsr.image.metadata import Metadata, save_options
from ccsr.image.modes import Levels, from_levels, reduced, to_srgb
from ccsr.image.picture import Picture, Size

_MOST = 65535  # times that an animation can be shown, in most formats


def write(picture: Picture | Image.Image, path: str | Path, output: Output = DEFAULT) -> None:
    """Write `picture` in the format of the suffix of `path`.

    16 bits per channel stay so in PNG and TIFF, and are rounded for the others. Where a format
    does not hold the colour profile, the pixels are converted to sRGB.

    Raises:
        ValueError: see `check`.
        OSError: if the file system refuses, or the written file has another size.
    """
    path = Path(path)
    picture = picture if isinstance(picture, Picture) else Picture.of(picture)
    known = check(path, picture, output=output)
    if not known.alpha:
        picture = picture.map(lambda frame: _without_alpha(frame, output))
    described = picture.metadata.under(output.metadata).fitting(picture.frames[0].shape[2])
    with replacing(path) as temporary:
        _save(picture, described, temporary, known, output)
        written = _written_size(temporary, known)
        if written not in (picture.size, None):
            raise OSError(
                f"expected {picture.size[1]}x{picture.size[0]} pixels in the file, got "
                f"{written[1]}x{written[0]}"
            )


def _save(picture: Picture, described: Metadata, path: Path, known: Format, output: Output) -> None:
    first = picture.frames[0]
    if known.pillow == "TIFF":
        tiff.write(path, picture.frames, described, tiff.needs_big(picture.frames))
        return
    if known.pillow == "PNG" and not picture.several:
        png.write(path, first, described)
        return
    profile = described.profile
    if profile and first.shape[2] not in known.profiles:
        picture = picture.map(lambda frame: _in_srgb(frame, profile))
        described = replace(described, profile=None)
    if known.pillow == "GIF":
        picture = picture.map(_on_or_off)
    images = [from_levels(reduced(frame)) for frame in picture.frames]
    options = dict(known.options)
    if output.lossless and known.lossless is not None:
        options |= known.lossless
    elif output.quality is not None and known.tunable:
        options["quality"] = output.quality
    options |= save_options(described, known.pillow)
    if picture.several:
        options |= {"save_all": True, "append_images": images[1:]} | _timing(picture, known)
    # Not to the path: some of Pillow's writers do not notice that a full disk took only a part.
    encoded = BytesIO()
    images[0].save(encoded, known.pillow, **options)
    path.write_bytes(encoded.getbuffer())


def _timing(picture: Picture, known: Format) -> dict[str, Any]:
    timing: dict[str, Any] = {"duration": [round(d) for d in picture.durations]}
    if known.pillow == "GIF":
        # each frame is whole: what is transparent must not show the frame before
        timing["disposal"] = 2
        if picture.loop != 1:
            timing["loop"] = min(max(picture.loop - 1, 0), _MOST)  # repetitions; for ever is 0 too
        return timing
    return timing | {"loop": min(picture.loop, _MOST)}


def _written_size(path: Path, known: Format) -> Size | None:
    """(H, W) in the header; None for a WebP beyond Pillow's limit of pixels for reading.

    The reader of each other format has no limit: it is `Image.open` that checks.
    """
    if known.pillow == "TIFF":
        return tiff.size(path)
    reader, _ = Image.OPEN[known.pillow]
    try:
        with path.open("rb") as file, reader(file, str(path)) as image:
            return image.height, image.width
    except Image.DecompressionBombError:
        return None


def _in_srgb(values: Levels, profile: bytes) -> Levels:
    has_alpha = values.shape[2] in (2, 4)
    colour = to_srgb(from_levels(reduced(values[..., :-1] if has_alpha else values)), profile)
    if colour is None:
        return values
    rgb = np.asarray(colour)
    return np.concatenate((rgb, reduced(values[..., -1:])), axis=2) if has_alpha else rgb


def _on_or_off(values: Levels) -> Levels:
    """Pixels that are opaque or not there, as GIF knows them.

    In colour, as Pillow's GIF writer takes alpha away from grey.
    """
    if values.shape[2] not in (2, 4):
        return values
    highest = np.iinfo(values.dtype).max
    seen = (values[..., -1:] > highest // 2).astype(values.dtype) * highest
    colour = values[..., :-1].repeat(3, axis=2) if values.shape[2] == 2 else values[..., :-1]
    return np.concatenate((colour, seen), axis=2)


def _without_alpha(values: Levels, output: Output) -> Levels:
    """Colour over the background."""
    if values.shape[2] not in (2, 4):
        return values
    colour, alpha = values[..., :-1], values[..., -1:]
    if output.background is None:  # checked: nothing shows through
        return colour
    highest = np.iinfo(values.dtype).max
    behind = np.array(output.background, np.float32) * (highest / 255)
    if colour.shape[2] == 1 and len(set(output.background)) == 1:
        behind = behind[:1]
    share = alpha.astype(np.float32) / highest
    mixed = (colour * share + behind * (1 - share) + 0.5).clip(0, highest)
    return mixed.astype(np.uint16) if highest > 255 else mixed.astype(np.uint8)
