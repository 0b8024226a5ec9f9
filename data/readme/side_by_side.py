"""Show what an enlargement gained: input pixels, Pillow's bicubic, the result, side by side.

    python side_by_side.py INPUT ENLARGED OUT

`OUT` gets one detail from the middle of the picture at the enlarged size, pixel for pixel.
"""

import sys
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

DETAIL = (440, 440)  # width and height of a panel, at most
GAP, CAPTION = 12, 36


def detail_box(size: tuple[int, int]) -> tuple[int, int, int, int]:
    """The box (left, top, right, bottom) of the detail in the middle of a picture `size`."""
    width, height = (min(side, limit) for side, limit in zip(size, DETAIL, strict=True))
    left, top = (size[0] - width) // 2, (size[1] - height) // 2
    return left, top, left + width, top + height


def side_by_side(small: Image.Image, enlarged: Image.Image, name: str) -> Image.Image:
    """Return three panels of one detail: `small` by nearest, by bicubic, and `enlarged`."""
    box = detail_box(enlarged.size)
    panels = {
        f"input, {small.width}x{small.height}": small.resize(
            enlarged.size, Image.Resampling.NEAREST
        ),
        "bicubic": small.resize(enlarged.size, Image.Resampling.BICUBIC),
        f"{name}, {enlarged.width}x{enlarged.height}": enlarged,
    }
    width, height = box[2] - box[0], box[3] - box[1]
    sheet = Image.new("RGB", (len(panels) * (width + GAP) - GAP, height + CAPTION), "white")
    draw, font = ImageDraw.Draw(sheet), ImageFont.load_default(size=20)
    for index, (caption, picture) in enumerate(panels.items()):
        left = index * (width + GAP)
        sheet.paste(picture.crop(box), (left, CAPTION))
        draw.text((left + width / 2, CAPTION / 2), caption, fill="black", font=font, anchor="mm")
    return sheet


def main() -> None:
    """Read the two pictures that the command line names and save the sheet."""
    if len(sys.argv) != 4:
        sys.exit(f"usage: python {sys.argv[0]} INPUT ENLARGED OUT")
    source, result, out = map(Path, sys.argv[1:])
    with Image.open(source) as small, Image.open(result) as enlarged:
        side_by_side(small.convert("RGB"), enlarged.convert("RGB"), "ccsr").save(out)


if __name__ == "__main__":
    main()
