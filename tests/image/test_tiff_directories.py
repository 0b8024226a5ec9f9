"""The chain of directories in a TIFF, damaged and hostile ones too."""

import struct
from pathlib import Path

import pytest

from ccsr import image
from ccsr.image import tiff_directories


def chain(places: list[int], size: int, big: bool = False) -> bytes:
    """A file whose directories, without entries, lie at `places`, each leading to the next."""
    number, start = ("<QQ", b"II+\0\x08\0\0\0") if big else ("<HI", b"II*\0")
    content = bytearray(size)
    content[: len(start)] = start
    struct.pack_into(number[0] + number[2], content, len(start), places[0])
    for place, following in zip(places, [*places[1:], 0], strict=True):
        struct.pack_into(number, content, place, 0, following)
    return bytes(content)


def test_directories_that_overlap_cost_nothing(tmp_path: Path) -> None:
    """Each of 50,000 directories has 60,000 entries, nearly all of them those of the others."""
    count = 50_000
    content = bytearray(b"II*\0" + struct.pack("<I", 8) + bytes(60_000 * 12 + 12 * count))
    for number in range(count):
        place = 8 + 12 * number
        struct.pack_into("<H", content, place, 60_000)
        struct.pack_into("<I", content, place + 2 + 60_000 * 12, 8 + 12 * (number + 1))
    (tmp_path / "a.tif").write_bytes(content)
    for reader in (image.read, image.probe):
        with pytest.raises(OSError, match=r"a\.tif: .*(overlap or end too late|not an image)"):
            reader(tmp_path / "a.tif")


@pytest.mark.parametrize("big", [False, True])
def test_the_chain_of_directories(tmp_path: Path, big: bool) -> None:
    path = tmp_path / "a.tif"
    path.write_bytes(chain([200, 100, 300], 400, big))
    assert tiff_directories.count(path) == 3
    looping = bytearray(chain([200, 100], 400, big))
    struct.pack_into("<Q" if big else "<I", looping, 108 if big else 102, 200)
    path.write_bytes(looping)
    assert tiff_directories.count(path) == 2
    path.write_bytes(chain([200, 100, 300], 400, big)[:300])
    with pytest.raises(OSError, match="truncated"):
        tiff_directories.count(path)
