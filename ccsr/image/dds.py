"""DDS, the textures of games: what Pillow does not tell of them."""

import struct
from pathlib import Path

from ccsr.image.modes import Levels, unmultiplied

_CUBE, _VOLUME = 0x200, 0x200000  # of the second word of capabilities
_MULTIPLIED = 2  # among the modes of alpha that a header of DirectX 10 tells
_FLOATS = {95, 96}  # formats of DXGI: BC6H


def told(values: Levels, path: Path) -> Levels:
    """Levels whose colour is not multiplied by their alpha any more, where the file has it so."""
    _, more = _header(path)
    multiplied = more and more[4] & 7 == _MULTIPLIED
    return unmultiplied(values) if multiplied and values.shape[2] in (2, 4) else values


def left(path: Path) -> tuple[str, ...]:
    """What is not read, by names for a person; smaller copies of the picture are none."""
    capabilities, more = _header(path)
    several = capabilities & (_CUBE | _VOLUME) or (more and more[3] > 1)
    cut = more and more[0] in _FLOATS
    names = ["further pictures"] if several else []
    names += ["precision (16-bit floats read as 8 bits)"] if cut else []
    return tuple(names)


def _header(path: Path) -> tuple[int, tuple[int, ...]]:
    """What kind of texture it is, and the five words that DirectX 10 adds, where it did."""
    with path.open("rb") as file:
        data = file.read(148)
    more = struct.unpack_from("<5I", data, 128) if data[84:88] == b"DX10" else ()
    return int.from_bytes(data[112:116], "little"), more
