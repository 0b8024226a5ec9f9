"""What a file may ask for before it is decoded: a small one can promise a lot."""

from PIL import Image, PngImagePlugin

from ccsr.plain import is_whole

# Of a text or a profile in a PNG: profiles of printers and scanners take more than Pillow's 1 MB.
PngImagePlugin.MAX_TEXT_CHUNK = max(PngImagePlugin.MAX_TEXT_CHUNK, 16 << 20)
MOST_FRAMES = 10_000
_frames = MOST_FRAMES


def limit_pixels(count: int) -> None:
    """Refuse, in this process, files of more pixels (of all frames together).

    It is Pillow's own limit against decompression bombs that is set, about 89 million at first.

    Raises:
        ValueError: if it is no whole number of at least 1.
    """
    _check(count, "pixels")
    Image.MAX_IMAGE_PIXELS = count


def limit_frames(count: int) -> None:
    """Refuse, in this process, files of more frames or pages; at first 10,000.

    Raises:
        ValueError: if it is no whole number of at least 1.
    """
    global _frames
    _check(count, "frames")
    _frames = count


def _check(count: int, of: str) -> None:
    if not is_whole(count, 1):
        raise ValueError(f"a limit of {of} must be a whole number of at least 1, got {count!r}")


def check_pixels(pixels: int) -> None:
    """Refuse a file of so many pixels if they are more than `limit_pixels` allows.

    Raises:
        DecompressionBombError: if it has more than are allowed, as Pillow says it of some.
    """
    if Image.MAX_IMAGE_PIXELS and pixels > Image.MAX_IMAGE_PIXELS:
        raise Image.DecompressionBombError


def too_many_pixels() -> str:
    """The sentence for a file that has more pixels than are allowed."""
    return (
        f"it has more than {(Image.MAX_IMAGE_PIXELS or 0) / 1e6:.4g} million pixels, which may be "
        "a decompression bomb: reduce or cut it first (or raise --max-pixels)"
    )


def check_frames(frames: int) -> None:
    """Refuse a file of so many frames, or of those counted so far, if they are more than allowed.

    Raises:
        OSError: if it has more than are allowed.
    """
    if frames > _frames:
        raise OSError(
            f"it has more than {_frames} frames or pages, each of which takes time: split it first "
            "(or raise --max-frames)"
        )
