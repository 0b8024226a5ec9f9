"""Colours that files tell by something else than an ICC profile stay what they are.

The truth is light: what a file's levels mean, by the formulas of ITU-R and IEC, against what
LittleCMS or libvips makes of our file.
"""

import io
import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageCms

from ccsr import Upscaler, image
from ccsr.image import Metadata, Output, Picture, boxes, profiles
from picture_parts import chunk

P3, BT2020_PQ, HLG, LINEAR = (12, 13), (9, 16), (9, 18), (1, 8)
RED = (255, 40, 20)
HOLDING = (".png", ".jpg", ".webp", ".tif", ".avif")
CONVERTING = (".gif", ".bmp")


def png(path: Path, colour: Any, *chunks: tuple[bytes, bytes], mode: str = "RGB") -> Path:
    """A PNG of one colour, 16x12, with chunks before its pixels."""
    buffer = io.BytesIO()
    Image.new(mode, (16, 12), colour).save(buffer, "PNG")
    content = buffer.getvalue()
    path.write_bytes(content[:33] + b"".join(chunk(*each) for each in chunks) + content[33:])
    return path


def cicp(code: tuple[int, int], full: int = 1) -> tuple[bytes, bytes]:
    return b"cICP", bytes((*code, 0, full))


def seen(path: Path) -> tuple[int, ...]:
    """Colour in sRGB of the middle of a file, by its profile through LittleCMS."""
    with Image.open(path) as opened:
        flat = opened.convert("L" if opened.mode in ("L", "LA", "I;16") else "RGB")
        profile = opened.info.get("icc_profile")
        if profile:
            source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
            target = ImageCms.createProfile("sRGB")
            flat = ImageCms.profileToProfile(flat, source, target, outputMode="RGB")
        return tuple(flat.convert("RGB").getpixel((8, 6)))


def to_srgb(light: np.ndarray, primaries: np.ndarray) -> tuple[int, ...]:
    """8-bit sRGB (IEC 61966-2-1) of linear light with other primaries of the same white."""
    linear = (np.linalg.inv(SRGB_XYZ) @ primaries @ light).clip(0, 1)
    encoded = np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)
    return tuple(int(v) for v in (encoded * 255 + 0.5))


# RGB to XYZ as the standards print them: IEC 61966-2-1, SMPTE EG 432-1, ITU-R BT.2087
SRGB_XYZ = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])
P3_XYZ = np.array([[0.4866, 0.2657, 0.1982], [0.2290, 0.6917, 0.0793], [0, 0.0451, 1.0439]])
BT2020_XYZ = np.array([[0.6370, 0.1446, 0.1689], [0.2627, 0.6780, 0.0593], [0, 0.0281, 1.0610]])


def light_of(levels: Any) -> np.ndarray:
    values = np.array(levels, float) / 255
    return np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4)


MUTED = (180, 120, 90)
CASES = {
    "P3": ([cicp(P3)], to_srgb(light_of(MUTED), P3_XYZ)),
    "linear": ([cicp(LINEAR)], to_srgb(np.array(MUTED) / 255, SRGB_XYZ)),
    "BT.2020": (
        [cicp((9, 14))],
        to_srgb(((np.array(MUTED) / 255 + 0.0993) / 1.0993) ** (1 / 0.45), BT2020_XYZ),
    ),
    "gamma 1": ([(b"gAMA", struct.pack(">I", 100_000))], to_srgb(np.array(MUTED) / 255, SRGB_XYZ)),
    "gamma 1.8": (
        [(b"gAMA", struct.pack(">I", 55_556))],
        to_srgb((np.array(MUTED) / 255) ** 1.8, SRGB_XYZ),
    ),
    "primaries of P3": (
        [
            (b"gAMA", struct.pack(">I", 45_455)),
            (b"cHRM", struct.pack(">8I", *(
                round(v * 1e5) for v in (0.3127, 0.329, 0.68, 0.32, 0.265, 0.69, 0.15, 0.06)
            ))),
        ],
        to_srgb(light_of(MUTED), P3_XYZ),
    ),
    "sRGB by code": ([cicp((1, 13))], MUTED),
    "sRGB chunk before gamma": (
        [(b"sRGB", b"\0"), (b"gAMA", struct.pack(">I", 100_000))],
        MUTED,
    ),
    "gamma of sRGB": ([(b"gAMA", struct.pack(">I", 45_455))], MUTED),
    "unknown": ([cicp((2, 2))], MUTED),
}  # fmt: skip


@pytest.mark.parametrize("suffix", HOLDING + CONVERTING)
@pytest.mark.parametrize("name", CASES)
def test_a_colour_is_the_same_in_every_format(tmp_path: Path, name: str, suffix: str) -> None:
    chunks, expected = CASES[name]
    picture = image.read(png(tmp_path / "in.png", MUTED, *chunks))
    path = tmp_path / f"out{suffix}"
    dropped = image.write(picture, path, Output(quality=100) if suffix == ".avif" else Output())
    if suffix == ".avif" and picture.metadata.code:
        assert boxes.heif_facts(path.read_bytes()).nclx == picture.metadata.code
    assert np.abs(np.subtract(seen(path), expected)).max() <= 3
    told = picture.metadata.profile is not None
    assert told == (expected != MUTED)
    converted = suffix in CONVERTING and told
    assert dropped == (("colour profile (converted to sRGB)",) if converted else ())


@pytest.mark.parametrize("several", [False, True])
@pytest.mark.parametrize("code", [P3, BT2020_PQ, HLG])
def test_code_points_stay_in_png(tmp_path: Path, code: tuple[int, int], several: bool) -> None:
    picture = image.read(png(tmp_path / "in.png", RED, cicp(code)))
    if several:
        picture = Picture(picture.frames * 2, picture.metadata, durations=(50, 60))
    image.write(picture, tmp_path / "out.png")
    content = (tmp_path / "out.png").read_bytes()
    assert content[33:].startswith(chunk(*cicp(code)))  # before all that depends on it
    again = image.read(tmp_path / "out.png")
    assert again.metadata == picture.metadata


def test_code_points_survive_an_enlargement_and_strip(tmp_path: Path) -> None:
    """Colours are no description that may go."""
    source = image.read(png(tmp_path / "in.png", RED, cicp(BT2020_PQ)))
    large = Upscaler.load("light")(source, scale=2)
    image.write(large, tmp_path / "out.png", Output(metadata="strip"))
    assert image.read(tmp_path / "out.png").metadata.code == BT2020_PQ


@pytest.mark.parametrize("suffix", [".jpg", ".webp", ".tif"])
def test_hdr_in_a_profile_is_said_and_looks_right_below_paper(tmp_path: Path, suffix: str) -> None:
    """203 cd/m2 are white: level 148 of PQ, where BT.2408 has it at 58 %, and 191 of HLG."""
    for name, code, white in (("PQ", BT2020_PQ, 148), ("HLG", HLG, 191)):
        picture = image.read(png(tmp_path / "in.png", (white,) * 3, cicp(code)))
        dropped = image.write(picture, tmp_path / f"out{suffix}")
        assert dropped == (f"{name} outside the colour profile",)
        assert min(seen(tmp_path / f"out{suffix}")) >= 250
        with Image.open(tmp_path / f"out{suffix}") as opened:
            profile = opened.info["icc_profile"]
        at = profile.index(b"cicp\0\0\0\0")
        assert profile[at + 8 : at + 12] == bytes((*code, 0, 1))  # ICC.1:2022, 10.4


def test_code_points_come_before_a_profile_in_png(tmp_path: Path) -> None:
    """PNG specification, third edition, 4.3: cICP, then iCCP, then sRGB, then gAMA and cHRM."""
    adobe = profiles.adobe().profile(3)
    iccp = (b"iCCP", b"x\0\0" + zlib.compress(adobe))
    gamma = (b"gAMA", struct.pack(">I", 100_000))
    both = image.read(png(tmp_path / "a.png", RED, cicp(P3), iccp)).metadata
    assert both.code == P3
    assert image.read(png(tmp_path / "b.png", RED, iccp, gamma)).metadata.profile == adobe
    plain = image.read(png(tmp_path / "c.png", RED, cicp((1, 13)), iccp)).metadata
    assert plain.profile is None


@pytest.mark.parametrize("mode", ["L", "LA", "RGB", "RGBA", "P"])
def test_a_profile_fits_its_pixels(tmp_path: Path, mode: str) -> None:
    colour: Any = {"L": 90, "LA": (90, 200), "P": 5}.get(mode, RED[: len(mode)])
    if mode == "RGBA":
        colour = (*RED, 200)
    picture = image.read(png(tmp_path / "a.png", colour, cicp(P3), mode=mode))
    channels = picture.frames[0].shape[2]
    assert picture.metadata.profile == profiles.of_code(*P3).profile(channels)  # type: ignore[union-attr]
    image.write(picture, tmp_path / "b.png")
    assert image.read(tmp_path / "b.png").metadata == picture.metadata


@pytest.mark.parametrize("bits", [8, 16])
def test_a_narrow_range_is_spread(tmp_path: Path, bits: int) -> None:
    """H.273, 8.3: black is 16 and white 235, times 256 in 16 bits; alpha has all levels."""
    unit, dtype = (1, np.uint8) if bits == 8 else (256, np.uint16)
    values = (np.array([[[0, 16, 125, 7]], [[235, 255, 180, 9]]]) * unit).astype(dtype)
    image.write(Picture((values,)), tmp_path / "a.png")
    content = (tmp_path / "a.png").read_bytes()
    (tmp_path / "a.png").write_bytes(content[:33] + chunk(*cicp((1, 13), 0)) + content[33:])
    got = image.read(tmp_path / "a.png")
    highest = 2**bits - 1
    expected = ((values[..., :3] / unit - 16) / 219).clip(0, 1) * highest
    assert np.abs(got.frames[0][..., :3] - expected).max() <= 0.5
    assert np.array_equal(got.frames[0][..., 3], values[..., 3])
    assert got.notes == ("narrow range spread to full",)


@pytest.mark.parametrize("code", [P3, BT2020_PQ])
def test_code_points_of_heic(tmp_path: Path, code: tuple[int, int]) -> None:
    heif = pytest.importorskip("pillow_heif")
    options = {"color_primaries": code[0], "transfer_characteristics": code[1]}
    heif.from_pillow(Image.new("RGB", (64, 64), RED)).save(
        tmp_path / "a.heic", quality=95, matrix_coefficients=6, full_range_flag=1, **options
    )
    picture = image.read(tmp_path / "a.heic")
    assert picture.metadata.code == code
    image.write(picture, tmp_path / "b.png")
    assert chunk(*cicp(code)) in (tmp_path / "b.png").read_bytes()


@pytest.mark.parametrize("frames", [1, 2])
@pytest.mark.parametrize("code", [P3, HLG])
def test_code_points_of_avif(tmp_path: Path, code: tuple[int, int], frames: int) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (frames, 48, 64, 3), np.uint8)
    durations = (40.0,) * frames if frames > 1 else ()
    profile = profiles.of_code(*code)
    assert profile
    described = Metadata(profile.profile(3), code=code)
    image.write(Picture(tuple(noise), described, durations), tmp_path / "a.avif")
    again = image.read(tmp_path / "a.avif")
    assert again.metadata == described
    image.write(again, tmp_path / "b.png")
    assert image.read(tmp_path / "b.png").metadata == described


@pytest.mark.parametrize("suffix", [".avif", ".webp", ".png", ".gif"])
def test_grey_by_code_points_is_told_or_converted_never_both(tmp_path: Path, suffix: str) -> None:
    """Grey at 55 of 255 in linear light is 129 in sRGB."""
    path = png(tmp_path / "in.png", 55, cicp(LINEAR), mode="L")
    image.write(image.read(path), tmp_path / f"out{suffix}")
    again = image.read(tmp_path / f"out{suffix}")
    told = suffix in (".avif", ".png")
    assert (again.metadata.code == LINEAR) == told
    assert abs(int(again.frames[0][5, 5, 0]) - (55 if told else 129)) <= 2


@pytest.mark.parametrize("suffix", [".png", ".webp", ".avif"])
def test_animations_keep_profile_exif_and_xmp(tmp_path: Path, suffix: str) -> None:
    exif = Image.Exif()
    exif[0x010F] = "Maker"
    described = Metadata(profiles.adobe().profile(3), exif.tobytes(), b'<a xmlns="b"/>')
    frames = tuple(np.full((16, 16, 3), level, np.uint8) for level in (10, 200))
    image.write(Picture(frames, described, (50.0, 60.0), 0), tmp_path / f"a{suffix}")
    assert image.read(tmp_path / f"a{suffix}").metadata == described


def test_a_profile_comes_before_code_points_in_avif(tmp_path: Path) -> None:
    adobe = profiles.adobe().profile(3)
    image.write(Picture((np.zeros((16, 16, 3), np.uint8),), Metadata(adobe)), tmp_path / "a.avif")
    assert image.read(tmp_path / "a.avif").metadata == Metadata(adobe)


@pytest.mark.parametrize("suffix", [".jpg", ".webp"])
def test_adobe_rgb_as_cameras_tell_it(tmp_path: Path, suffix: str) -> None:
    """By an interoperability index (DCF 2.0) and no profile: EXIF with nested directories."""
    index = struct.pack("<HHHI4sI", 1, 1, 2, 4, b"R03\0", 0)
    details = struct.pack("<HHHII", 2, 0xA001, 3, 1, 65535)
    details += struct.pack("<HHII", 0xA005, 4, 1, 26 + 30) + bytes(4)
    first = struct.pack("<HHHII", 1, 0x8769, 4, 1, 26) + bytes(4)
    exif = b"Exif\0\0II*\0\x08\0\0\0" + first + details + index
    Image.new("RGB", (16, 12), MUTED).save(tmp_path / f"a{suffix}", exif=exif, quality=100)
    image.write(image.read(tmp_path / f"a{suffix}"), tmp_path / "b.png")
    profile = image.read(tmp_path / "b.png").metadata.profile
    assert profile == profiles.adobe().profile(3)
    red = ImageCms.ImageCmsProfile(io.BytesIO(profile)).profile.red_colorant
    # of the profile that Adobe published
    assert red is not None
    assert red[0] == pytest.approx((0.60974, 0.31111, 0.01947), abs=2e-4)


def test_a_profile_in_jpeg_2000(tmp_path: Path) -> None:
    """In a box of method 2 (ISO/IEC 15444-1, I.5.3.3), which Pillow passes over."""
    Image.new("RGB", (16, 12), RED).save(tmp_path / "a.jp2")
    content = (tmp_path / "a.jp2").read_bytes()
    adobe = profiles.adobe().profile(3)
    at = content.index(b"colr") - 4
    (length,) = struct.unpack_from(">I", content, at)
    box = struct.pack(">I", 11 + len(adobe)) + b"colr\2\0\0" + adobe
    outer = content.index(b"jp2h") - 4
    (whole,) = struct.unpack_from(">I", content, outer)
    changed = content[:at] + box + content[at + length :]
    grown = struct.pack(">I", whole + len(box) - length)
    (tmp_path / "a.jp2").write_bytes(changed[:outer] + grown + changed[outer + 4 :])
    assert image.read(tmp_path / "a.jp2").metadata.profile == adobe


def test_colours_of_bmp(tmp_path: Path) -> None:
    """A header of version 5 holds a profile, or says primaries and gammas (MS-WMF, 2.2.2.11)."""

    def header(space: bytes, points: bytes = bytes(36), gamma: bytes = bytes(12)) -> bytes:
        plain = struct.pack("<IiiHHIIiiII", 124, 2, 1, 1, 24, 0, 8, 2835, 2835, 0, 0)
        profile = struct.pack("<IIII", 4, 124 + 8, len(adobe), 0)
        return plain + bytes(16) + space + points + gamma + profile

    adobe = profiles.adobe().profile(3)
    pixels = bytes((20, 40, 250)) * 2 + bytes(2)

    def write(name: str, head: bytes) -> Metadata:
        size = 14 + len(head)
        start = struct.pack("<2sIII", b"BM", size + 8 + len(adobe), 0, size)
        (tmp_path / name).write_bytes(start + head + pixels + adobe)
        return image.read(tmp_path / name).metadata

    assert write("embedded.bmp", header(b"DEBM")).profile == adobe
    assert write("srgb.bmp", header(b"BGRs")).profile is None
    columns = [round(v * (1 << 30)) for v in P3_XYZ.T.ravel()]
    gamma = struct.pack("<3I", *[round(1.8 * 65536)] * 3)
    told = write("told.bmp", header(bytes(4), struct.pack("<9I", *columns), gamma)).profile
    assert told is not None
    opened = ImageCms.ImageCmsProfile(io.BytesIO(told)).profile
    assert opened.red_primary is not None
    assert opened.red_primary[1][:2] == pytest.approx((0.6820, 0.3194), abs=1e-3)


def test_linear_in_qoi_is_not_believed(tmp_path: Path) -> None:
    """That byte is informative (QOI specification), and Pillow writes it into any file."""
    Image.new("RGB", (16, 12), MUTED).save(tmp_path / "a.qoi")
    assert (tmp_path / "a.qoi").read_bytes()[13] == 1
    assert image.read(tmp_path / "a.qoi").metadata.profile is None


def test_a_picture_of_pillow_keeps_its_gamma(tmp_path: Path) -> None:
    path = png(tmp_path / "a.png", MUTED, (b"gAMA", struct.pack(">I", 100_000)))
    with Image.open(path) as opened:
        assert Picture.of(opened).metadata == image.read(path).metadata
    path = png(tmp_path / "b.png", MUTED, cicp(P3))
    with Image.open(path) as opened:
        large = Upscaler.load("light")(opened, scale=2)
    assert large.info["icc_profile"] == image.read(path).metadata.profile


@pytest.mark.parametrize("damage", [b"cICP", b"gAMA", b"cHRM"])
def test_nonsense_tells_no_colours(tmp_path: Path, damage: bytes) -> None:
    content = {
        b"cICP": bytes((255, 255, 9, 9)),
        b"gAMA": bytes(4),
        b"cHRM": bytes(32),
    }[damage]
    picture = image.read(png(tmp_path / "a.png", RED, (damage, content)))
    assert picture.metadata.profile is None


@pytest.mark.parametrize("length", [0, 20, 131, 140, 200])
def test_a_damaged_profile_tells_no_code_points(length: int) -> None:
    whole = profiles.of_code(*P3)
    assert whole
    assert profiles.code_in(whole.profile(3)) == P3
    assert profiles.code_in(whole.profile(3)[:length]) is None


@pytest.mark.parametrize("transfer", [1, 4, 5, 7, 8, 9, 10, 13, 16, 17, 18])
@pytest.mark.parametrize("primaries", [1, 4, 5, 6, 8, 9, 10, 11, 12, 22])
def test_every_code_point_makes_a_profile(primaries: int, transfer: int) -> None:
    """White stays white, and LittleCMS takes the profile for grey and for colour."""
    colours = profiles.of_code(primaries, transfer)
    if (primaries, transfer) == (1, 13):
        assert colours is None
        return
    assert colours is not None
    for channels, mode in ((1, "L"), (3, "RGB")):
        source = ImageCms.ImageCmsProfile(io.BytesIO(colours.profile(channels)))
        white = Image.new(mode, (1, 1), "white")
        target = ImageCms.createProfile("sRGB")
        got = ImageCms.profileToProfile(white, source, target, outputMode="RGB").getpixel((0, 0))
        assert min(got) >= 250 or transfer == 17
