"""Colour profiles (ICC.1:2022) of colours that files tell in other ways.

Those ways are code points (ITU-T H.273, "CICP"), and a gamma with chromaticities (PNG).
"""

import struct
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Code = tuple[int, int]  # primaries, transfer
Chromaticities = tuple[float, ...]  # x, y of white, red, green, blue

SRGB: Code = (1, 13)
_HDR = {16: "PQ", 18: "HLG"}  # transfers whose levels go beyond the white of paper

_D65, _C, _DCI = (0.3127, 0.3290), (0.310, 0.316), (0.314, 0.351)
_PRIMARIES: dict[int, Chromaticities] = {
    1: (*_D65, 0.640, 0.330, 0.300, 0.600, 0.150, 0.060),
    4: (*_C, 0.670, 0.330, 0.210, 0.710, 0.140, 0.080),
    5: (*_D65, 0.640, 0.330, 0.290, 0.600, 0.150, 0.060),
    6: (*_D65, 0.630, 0.340, 0.310, 0.595, 0.155, 0.070),
    7: (*_D65, 0.630, 0.340, 0.310, 0.595, 0.155, 0.070),
    8: (*_C, 0.681, 0.319, 0.243, 0.692, 0.145, 0.049),
    9: (*_D65, 0.708, 0.292, 0.170, 0.797, 0.131, 0.046),
    10: (1 / 3, 1 / 3, 1.0, 0.0, 0.0, 1.0, 0.0, 0.0),
    11: (*_DCI, 0.680, 0.320, 0.265, 0.690, 0.150, 0.060),
    12: (*_D65, 0.680, 0.320, 0.265, 0.690, 0.150, 0.060),
    22: (*_D65, 0.630, 0.340, 0.295, 0.605, 0.155, 0.077),
}
_ADOBE_PRIMARIES = (*_D65, 0.640, 0.330, 0.210, 0.710, 0.150, 0.060)
_LINEAR = 8  # the transfer of light itself
_SRGB_GAMMA = 0.45455  # by which PNG tells its curve
_ADOBE_GAMMA = 2.19921875

_D50 = np.array([0.9642, 1.0, 0.8249])
_BRADFORD = np.array(
    [[0.8951, 0.2664, -0.1614], [-0.7502, 1.7135, 0.0367], [0.0389, -0.0685, 1.0296]]
)
_SAMPLES = 4096  # of a curve without a formula in ICC
_PAPER = 203.0  # cd/m2 of white that is no highlight (ITU-R BT.2408)
_COMPLETED = 2026, 1, 1, 0, 0, 0  # a constant: the same colours are always the same bytes


@dataclass(frozen=True)
class Colours:
    """What levels mean.

    Attributes:
        name: for a person.
        chromaticities: x, y of white, red, green and blue.
        curve: the ICC tag of the function from levels to light.
        code: of H.273; None where it has none.
    """

    name: str
    chromaticities: Chromaticities
    curve: bytes
    code: Code | None = None

    def profile(self, channels: int) -> bytes:
        """The ICC profile for grey (1 or 2 channels) or colour (3 or 4)."""
        grey = channels < 3
        white, columns = _colorants(self.chromaticities)
        tags = {
            b"desc": _text(self.name),
            b"cprt": _text("No copyright, use freely"),
            b"wtpt": _xyz(_D50),
            b"chad": _numbers(b"sf32", _adaptation(white).ravel()),
        }
        if grey:
            tags[b"kTRC"] = self.curve
        else:
            tags |= {b"%cXYZ" % c: _xyz(columns[:, i]) for i, c in enumerate(b"rgb")}
            tags |= {b"%cTRC" % c: self.curve for c in b"rgb"}
            if self.code:
                tags[b"cicp"] = struct.pack(">4sIBBBB", b"cicp", 0, *self.code, 0, 1)
        return _assembled(tags, b"GRAY" if grey else b"RGB ")


def of_code(primaries: int, transfer: int) -> Colours | None:
    """Colours of code points; None for sRGB, and where neither code is known."""
    known = primaries in _PRIMARIES, _curve(transfer) is not None
    if not any(known):
        return None
    code = primaries if known[0] else SRGB[0], transfer if known[1] else SRGB[1]
    curve = _curve(code[1])
    if code == SRGB or curve is None:
        return None
    name = {(12, 13): "Display P3", (9, 16): "BT.2100 PQ", (9, 18): "BT.2100 HLG"}
    described = name.get(code, f"CICP {code[0]}/{code[1]}")
    return Colours(described, _PRIMARIES[code[0]], curve, code)


def of_png(info: Mapping[Any, Any]) -> Colours | None:
    """Colours of what Pillow reads of PNG's chunks sRGB, gAMA and cHRM; None where a profile is."""
    gamma, chromaticities = info.get("gamma"), info.get("chromaticity")
    if "srgb" in info or info.get("icc_profile") or not (gamma or chromaticities):
        return None
    return of_gamma(gamma or _SRGB_GAMMA, chromaticities)


def of_gamma(gamma: float, chromaticities: Chromaticities | None) -> Colours | None:
    """Colours of PNG's gAMA (the encoding exponent, 0.45455 for sRGB) and cHRM.

    None for what stands for sRGB, which files say in these words too, and for nonsense.
    """
    primaries = chromaticities or _PRIMARIES[1]
    near = (abs(a - b) < 0.002 for a, b in zip(primaries, _PRIMARIES[1], strict=True))
    standard = abs(gamma - _SRGB_GAMMA) < 0.0005
    if not 0.05 <= gamma <= 5 or (standard and all(near)):
        return None
    curve = _curve(SRGB[1]) if standard else _power(1 / gamma)
    if curve is None or not _sound(primaries):
        return None
    return Colours(f"gamma {1 / gamma:.4g}", tuple(primaries), curve)


def of_linear(chromaticities: Chromaticities | None) -> Colours:
    """Colours of levels that are light itself, of sRGB's primaries where none are told.

    Primaries need not be colours that there are: those of ACES are not.
    """
    primaries = _PRIMARIES[1]
    if chromaticities and chromaticities[1] > 0 and _spans(chromaticities):
        primaries = chromaticities
    near = (
        code
        for code, known in _PRIMARIES.items()
        if all(abs(a - b) < 0.001 for a, b in zip(primaries, known, strict=True))
    )
    code = next(near, None)
    primaries = primaries if code is None else _PRIMARIES[code]
    return Colours("linear light", primaries, _power(1), None if code is None else (code, _LINEAR))


def code_in(profile: bytes) -> Code | None:
    """The code points in a profile (ICC.1:2022, 9.2.17)."""
    count = int.from_bytes(profile[128:132], "big")
    table = profile[132 : 132 + 12 * min(count, 200)]
    for name, at, size in struct.iter_unpack(">4sII", table[: len(table) // 12 * 12]):
        content = profile[at : at + size]
        if name == b"cicp" and content[:4] == b"cicp" and len(content) >= 12:
            return content[8], content[9]
    return None


def hdr_outside(code: Code | None) -> tuple[str, ...]:
    """What is dropped where a profile alone tells the colours of `code`, which knows no HDR."""
    name = _HDR.get(code[1]) if code else None
    return (f"{name} outside the colour profile",) if name else ()


def adobe() -> Colours:
    """Adobe RGB (1998), which cameras tell by a name in EXIF."""
    return Colours("Adobe RGB (1998)", _ADOBE_PRIMARIES, _power(_ADOBE_GAMMA))


def _curve(transfer: int) -> bytes | None:
    """The tag of a transfer code; None for an unknown one."""
    if transfer in (1, 6, 11, 12, 14, 15):
        return _formula(1 / 0.45, 1 / 1.099, 0.099 / 1.099, 1 / 4.5, 0.081)
    if transfer == 7:
        return _formula(1 / 0.45, 1 / 1.1115, 0.1115 / 1.1115, 1 / 4, 0.0912)
    if transfer == 13:
        return _formula(2.4, 1 / 1.055, 0.055 / 1.055, 1 / 12.92, 0.04045)
    if transfer in (4, 5, 8):
        return _power({4: 2.2, 5: 2.8, 8: 1.0}[transfer])
    levels = np.linspace(0, 1, _SAMPLES)
    light = {9: _log(levels, 2), 10: _log(levels, 2.5), 16: _pq(levels), 18: _hlg(levels)}
    light[17] = 52.37 / 48 * levels**2.6
    if transfer not in light:
        return None
    samples = (light[transfer].clip(0, 1) * 65535 + 0.5).astype(">u2")
    return struct.pack(">4sII", b"curv", 0, _SAMPLES) + samples.tobytes()


def _log(levels: Array, decades: float) -> Array:
    return np.where(levels > 0, 10 ** (decades * (levels - 1)), 0)


def _pq(levels: Array) -> Array:
    """Light over that of white paper; what is brighter is cut, as ICC knows no more than white."""
    root = levels ** (1 / 78.84375)
    base = np.maximum(root - 0.8359375, 0) / (18.8515625 - 18.6875 * root)
    return 10_000 / _PAPER * base ** (1 / 0.1593017578125)


def _hlg(levels: Array) -> Array:
    """Likewise, on a display of 1000 cd/m2; of the display's own gamma that of a single channel."""
    a, b, c = 0.17883277, 0.28466892, 0.55991073
    scene = np.where(levels <= 0.5, levels**2 / 3, (np.exp((levels - c) / a) + b) / 12)
    return 1000 / _PAPER * scene**1.2


def _power(exponent: float) -> bytes:
    return struct.pack(">4sIHH", b"para", 0, 0, 0) + _fixed(exponent)


def _formula(*parameters: float) -> bytes:
    return struct.pack(">4sIHH", b"para", 0, 3, 0) + _fixed(*parameters)


def _fixed(*numbers: float) -> bytes:
    return b"".join(struct.pack(">i", round(number * 65536)) for number in numbers)


def _numbers(kind: bytes, numbers: Array) -> bytes:
    return kind + bytes(4) + _fixed(*map(float, numbers))


def _xyz(numbers: Array) -> bytes:
    return _numbers(b"XYZ ", numbers)


def _text(text: str) -> bytes:
    encoded = text.encode("utf-16-be")
    return struct.pack(">4sIII2s2sII", b"mluc", 0, 1, 12, b"en", b"US", len(encoded), 28) + encoded


def _sound(chromaticities: Chromaticities) -> bool:
    """Whether they are a white and three different colours that there are."""
    if len(chromaticities) != 8 or min(chromaticities[1::2]) < 0 or chromaticities[1] <= 0:
        return False
    return _spans(chromaticities)


def _spans(chromaticities: Chromaticities) -> bool:
    """Whether three colours make others between them."""
    _, columns = _colorants(chromaticities)
    return bool(np.isfinite(columns).all() and np.abs(columns).max() < 8)


def _colorants(chromaticities: Chromaticities) -> tuple[Array, Array]:
    """XYZ of the white, and as columns of red, green and blue as they look under D50."""
    x, y = np.array(chromaticities).reshape(4, 2).T
    white = np.array([x[0], y[0], 1 - x[0] - y[0]]) / y[0]
    directions = np.stack([x[1:], y[1:], 1 - x[1:] - y[1:]])
    if abs(np.linalg.det(directions)) < 1e-6:
        return white, np.full((3, 3), np.nan)
    columns = directions * np.linalg.solve(directions, white)
    return white, _adaptation(white) @ columns


def _adaptation(white: Array) -> Array:
    """The linear Bradford transform from `white` to D50 (ICC.1:2022, annex E)."""
    ratio = (_BRADFORD @ _D50) / (_BRADFORD @ white)
    return np.asarray(np.linalg.inv(_BRADFORD) @ np.diag(ratio) @ _BRADFORD)


SRGB_COLUMNS = _colorants(_PRIMARIES[SRGB[0]])[1]


def _assembled(tags: dict[bytes, bytes], space: bytes) -> bytes:
    start = 128 + 4 + 12 * len(tags)
    places: dict[bytes, int] = {}  # equal tags share one
    body = b""
    table = struct.pack(">I", len(tags))
    for name, content in tags.items():
        if content not in places:
            places[content] = start + len(body)
            body += content + bytes(-len(content) % 4)
        table += struct.pack(">4sII", name, places[content], len(content))
    size = start + len(body)
    header = struct.pack(
        ">I4s4s4s4s4s6H4s4sI4s4sQI12s",
        size, bytes(4), b"\x04\x40\0\0", b"mntr", space, b"XYZ ", *_COMPLETED, b"acsp",
        bytes(4), 0, bytes(4), bytes(4), 0, 0, _xyz(_D50)[8:],
    )  # fmt: skip
    return header.ljust(128, b"\0") + table + body
