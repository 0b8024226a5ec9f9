"""Writing every format onto a file system that is really full.

Each file is written where less is free than it takes, beside an older file of its name: the error
names the file, and the older one is all that is there.

    unshare --user --map-root-user --mount python tests/full_disk.py

Needs Linux: it mounts a file system of a few hundred kilobytes, which nobody else sees.
"""

import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from ccsr import image
from ccsr.image.formats import FORMATS, Format
from ccsr.jobs import large_tiff
from ccsr.upscaling.upscaler import Upscaler
from networks import tiny

ROOM = 320  # KiB
BLOCK = 4096  # bytes
OLD = b"before"
Write = Callable[[Path], object]


def pictures(known: Format) -> Iterator[tuple[str, image.Picture]]:
    """What the format holds: grey and colour, alpha, 16 bits, frames or pages."""
    rng = np.random.default_rng(0)
    for dtype in (np.uint8, np.uint16) if known.depth == 16 else (np.uint8,):
        highest = np.iinfo(dtype).max
        for channels in (1, 3, 4) if known.alpha else (1, 3):
            values = rng.integers(0, highest, (120, 130, channels), dtype, endpoint=True)
            yield f"{channels} channels of {dtype.__name__}", image.Picture((values,))
    if known.several:
        frames = tuple(rng.integers(0, 256, (90, 100, 3), np.uint8) for _ in range(2))
        durations = (50.0,) * 2 if known.several == "animation" else ()
        yield known.several, image.Picture(frames, durations=durations)


def writes() -> Iterator[tuple[str, str, Write]]:
    """What is written, the suffix, and how."""
    for known in FORMATS.values():
        for suffix in known.suffixes:
            for name, picture in pictures(known):
                yield name, suffix, lambda path, picture=picture: image.write(picture, path)
    upscaler = Upscaler(tiny(None), device="cpu", precision="fp32")
    values = np.random.default_rng(0).integers(0, 256, (90, 100, 3), np.uint8)
    yield (
        "in strips",
        ".tif",
        lambda path: large_tiff.enlarge(upscaler, values, path, scale=(2.0, 2.0)),
    )


def problems(name: str, write: Write, path: Path) -> Iterator[str]:
    """What goes wrong where there is too little room by a block, a half, and nearly all of it."""
    write(path)
    size = path.stat().st_size
    path.write_bytes(OLD)
    filler = path.with_name("filler")
    for free in (0, BLOCK, size // 2, size - BLOCK):
        blocks = ROOM * 1024 // BLOCK - max(0, free) // BLOCK - 1
        filler.write_bytes(bytes(max(1, blocks) * BLOCK))
        try:
            write(path)
        except OSError as error:
            if not str(error).startswith(f"cannot write {path}: No space left"):
                yield f"{name}{path.suffix}, {free} of {size} bytes free: {error}"
        else:
            yield f"{name}{path.suffix}, {free} of {size} bytes free: no error"
        left = sorted(each.name for each in path.parent.iterdir())
        if left != sorted((path.name, filler.name)) or path.read_bytes() != OLD:
            yield f"{name}{path.suffix}, {free} of {size} bytes free: {left}, or a part of a file"
        filler.unlink()
        path.write_bytes(OLD)
    write(path)
    if path.stat().st_size != size:
        yield f"{name}{path.suffix}: with room again {path.stat().st_size} of {size} bytes"
    path.unlink()


def main() -> int:
    folder = Path(tempfile.mkdtemp(prefix="ccsr-full-"))
    mount = ["mount", "-t", "tmpfs", "-o", f"size={ROOM}k", "none", str(folder)]
    if subprocess.run(mount, check=False).returncode:
        return 77
    try:
        wrong: list[str] = []
        count = 0
        for name, suffix, write in writes():
            wrong += problems(name, write, folder / f"a{suffix}")
            count += 1
        print(f"{count} kinds of files on a full disk")
        for problem in wrong:
            print(problem, file=sys.stderr)
        return 1 if wrong else 0
    finally:
        subprocess.run(["umount", str(folder)], check=False)
        folder.rmdir()


if __name__ == "__main__":
    sys.exit(main())
