"""What becomes of each kind of picture in each format: the data of the tests and of docs/files.md.

`image/test_table.py` tries every cell. The document holds the tables between two marks:

    python tests/picture_table.py        # writes them anew
"""

import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

DOCUMENT = Path(__file__).parents[1] / "docs" / "files.md"
START, END = "<!-- tables: python tests/picture_table.py -->\n", "<!-- end of the tables -->\n"

KEPT = K = "kept"
REFUSED = R = "refused"
NONE = N = ""  # the format has no such kind
CMYK = "CMYK converted to RGB"
FROM_16, FROM_10 = "precision (16 bits read as 8)", "precision (10 bits read as 8)"
INK_16 = f"{CMYK}, {FROM_16}"
E = "precision (16 bits became 8)"
F16, F8 = (f"precision (32-bit floats became {bits} bits)" for bits in (16, 8))
C, H = "colours (256 a frame)", "partial transparency"
L = "number of loops"
E_H, E_C, E_H_C, H_C, E_L = f"{E}, {H}", f"{E}, {C}", f"{E}, {H}, {C}", f"{H}, {C}", f"{E}, {L}"
F8_H, F8_C, F8_H_C = f"{F8}, {H}", f"{F8}, {C}", f"{F8}, {H}, {C}"
FURTHER, LAYERS, PARTS = "further pictures", "layers", "further parts"

# What is read. Of formats that are also written the first name; kinds as they are stored.
READ = ("PNG", "JPEG", "WebP", "TIFF", "GIF", "BMP", "AVIF", "HEIC", "JPEG 2000", "PPM", "TGA",
        "PSD", "OpenEXR")  # fmt: skip
READING: dict[str, tuple[str, ...]] = {
    "black and white, 1 bit": (K, N, N, K, K, K, N, N, N, K, N, K, N),
    "grey, 2 or 4 bits":      (K, N, N, K, K, N, N, N, N, K, N, N, N),
    "grey":                   (K, K, N, K, K, K, K, K, K, K, K, K, N),
    "grey, 16 bits":          (K, N, N, K, N, N, N, N, K, K, N, R, N),
    "grey, one level hidden": (K, N, N, N, K, N, N, N, N, N, N, N, N),
    "grey, alpha":            (K, N, N, K, N, N, N, N, K, N, K, N, N),
    "grey, alpha, 16 bits":   (K, N, N, K, N, N, N, N, N, N, N, N, N),
    "palette":                (K, N, N, K, K, K, N, N, N, N, K, K, N),
    "palette, transparency":  (K, N, N, N, K, N, N, N, N, N, K, N, N),
    "colour":                 (K, K, K, K, N, K, K, K, K, K, K, K, N),
    "colour, 10 to 16 bits":  (K, N, N, K, N, N, FROM_10, FROM_10, FROM_16, K, N, R, N),
    "colour, one hidden":     (K, N, N, N, N, N, N, N, N, N, N, N, N),
    "colour, alpha":          (K, N, K, K, N, K, K, K, K, N, K, K, N),
    "colour, alpha, 16 bits": (K, N, N, K, N, N, N, N, N, N, N, R, N),
    "CMYK, 16 bits":          (N, N, N, INK_16, N, N, N, N, N, N, N, N, N),
    "CMYK":                   (N, CMYK, N, CMYK, N, N, N, N, N, N, N, CMYK, N),
    "floats from 0 to 1":     (N, N, N, K, N, N, N, N, N, K, N, N, K),
    "floats beyond":          (N, N, N, K, N, N, N, N, N, K, N, N, K),
    "floats, colour":         (N, N, N, K, N, N, N, N, N, K, N, N, K),
    "floats, alpha":          (N, N, N, K, N, N, N, N, N, N, N, N, K),
    "animation":              (K, N, K, N, K, N, K, N, N, N, N, N, N),
    "animation, transparency":(K, N, K, N, K, N, K, N, N, N, N, N, N),
    "animation, 16 bits":     (K, N, N, N, N, N, N, N, N, N, N, N, N),
    "pages, pictures, layers":(N, FURTHER, N, K, N, N, N, FURTHER, N, N, N, LAYERS, PARTS),
}  # fmt: skip

# What is written, under its suffix. All pictures have more than 256 colours and half transparent
# pixels where they have colours and alpha, and animations run three times.
WRITTEN = (".png", ".jpg", ".webp", ".tif", ".avif", ".gif", ".bmp", ".pfm", ".exr")
WRITING: dict[str, tuple[str, ...]] = {
    "grey":                              (K, K, K, K, K, K, K, K, K),
    "grey, 16 bits":                     (K, E, E, K, E, E, E, K, K),
    "grey, alpha":                       (K, R, K, K, K, H, R, R, K),
    "grey, alpha, 16 bits":              (K, R, E, K, E, E_H, R, R, K),
    "colour":                            (K, K, K, K, K, C, K, K, K),
    "colour, 16 bits":                   (K, E, E, K, E, E_C, E, K, K),
    "colour, alpha":                     (K, R, K, K, K, H_C, R, R, K),
    "colour, alpha, 16 bits":            (K, R, E, K, E, E_H_C, R, R, K),
    "floats, grey":                      (F16, F8, F8, K, F8, F8, F8, K, K),
    "floats, grey, alpha":               (F16, R, F8, K, F8, F8_H, R, R, K),
    "floats, colour":                    (F16, F8, F8, K, F8, F8_C, F8, K, K),
    "floats, colour, alpha":             (F16, R, F8, K, F8, F8_H_C, R, R, K),
    "animation, grey":                   (K, R, K, R, L, K, R, R, R),
    "animation, grey, 16 bits":          (E, R, E, R, E_L, E, R, R, R),
    "animation, grey, alpha":            (K, R, K, R, L, H, R, R, R),
    "animation, grey, alpha, 16 bits":   (E, R, E, R, E_L, E_H, R, R, R),
    "animation, colour":                 (K, R, K, R, L, C, R, R, R),
    "animation, colour, 16 bits":        (E, R, E, R, E_L, E_C, R, R, R),
    "animation, colour, alpha":          (K, R, K, R, L, H_C, R, R, R),
    "animation, colour, alpha, 16 bits": (E, R, E, R, E_L, E_H_C, R, R, R),
    "pages, of any kind":                (R, R, R, K, R, R, R, R, R),
}  # fmt: skip


# What is written of the descriptions of a picture in colour, or grey where that is said.
SRGB = "colour profile (converted to sRGB)"
PQ = "PQ outside the colour profile"
EXIF, XMP, DPI = "EXIF", "XMP", "resolution"
PROFILE = "colour profile"
PQ_SRGB, PQ_PROFILE = f"{PQ}, {SRGB}", f"{PQ}, {PROFILE}"
DESCRIBING: dict[str, tuple[str, ...]] = {
    "colour profile":                (K, K, K, K, K, SRGB, SRGB, PROFILE, K),
    "colour profile of grey":        (K, K, SRGB, K, SRGB, SRGB, SRGB, PROFILE, K),
    "colours by code points":        (K, K, K, K, K, SRGB, SRGB, PROFILE, K),
    "HDR (PQ) by code points":       (K, PQ, PQ, PQ, K, PQ_SRGB, PQ_SRGB, PQ_PROFILE, PQ),
    "EXIF":                          (K, K, K, K, K, EXIF, EXIF, EXIF, EXIF),
    "XMP":                           (K, K, K, K, K, XMP, XMP, XMP, XMP),
    "resolution outside EXIF":       (K, K, DPI, K, DPI, DPI, K, DPI, DPI),
}  # fmt: skip


def cells(table: Mapping[str, tuple[str, ...]], formats: tuple[str, ...]) -> Iterator[
    tuple[str, str, str]
]:  # fmt: skip
    """Kind, format and what becomes of it."""
    for kind, row in table.items():
        for name, cell in zip(formats, row, strict=True):
            yield kind, name, cell


def document() -> str:
    """The tables in Markdown, with the sentences that letters stand for."""
    said = [
        cell for table in (READING, WRITING, DESCRIBING) for row in table.values() for cell in row
    ]
    sentences = [part for cell in said for part in cell.split(", ") if cell not in _PLAIN]
    letters = {text: chr(ord("a") + i) for i, text in enumerate(dict.fromkeys(sentences))}
    legend = "; ".join(f"{letter}: {text}" for text, letter in letters.items())
    return "\n".join((
        "What is read of each kind, of 8 bits where no others are named, `-` where there is none:",
        "",        *_rows(READING, READ, letters), "",
        "What is written of each kind, into files of each suffix:", "",
        *_rows(WRITING, WRITTEN, letters), "",
        "What is written of a picture's descriptions:", "",
        *_rows(DESCRIBING, WRITTEN, letters), "",
        f"The letters stand for what the line of an output says: {legend}.", "",
    ))  # fmt: skip


_PLAIN = {KEPT, REFUSED, NONE}


def _rows(
    table: Mapping[str, tuple[str, ...]], formats: tuple[str, ...], letters: Mapping[str, str]
) -> Iterator[str]:
    yield "| | " + " | ".join(formats) + " |"
    yield "|---" * (len(formats) + 1) + "|"
    for kind, row in table.items():
        shown = (
            cell or "-" if cell in _PLAIN else " ".join(letters[p] for p in cell.split(", "))
            for cell in row
        )
        yield f"| {kind} | " + " | ".join(shown) + " |"


def replaced(text: str) -> str:
    """A document with the tables between the marks made anew."""
    before, _, rest = text.partition(START)
    _, mark, after = rest.partition(END)
    if not mark:
        raise ValueError(f"expected the marks {START!r} and {END!r} in the document")
    return before + START + document() + END + after


if __name__ == "__main__":
    DOCUMENT.write_text(replaced(DOCUMENT.read_text(encoding="utf-8")), encoding="utf-8")
    sys.exit(0)
