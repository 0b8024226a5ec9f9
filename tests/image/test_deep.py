from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image, TiffImagePlugin

from ccsr import image
from ccsr.image import Metadata, Picture, profiles
from picture_parts import chunk

SIZE = (37, 53)


def noise(channels: int, size: tuple[int, int] = SIZE) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 65536, (*size, channels), dtype=np.uint16)


def read(path: Path) -> np.ndarray:
    (frame,) = image.read(path).frames
    return frame


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
@pytest.mark.parametrize("suffix", [".png", ".tif"])
@pytest.mark.parametrize("size", [SIZE, (1, 1), (1, 70), (2, 3)])
def test_16_bits_come_back(
    tmp_path: Path, channels: int, suffix: str, size: tuple[int, int]
) -> None:
    values = noise(channels, size)
    path = tmp_path / f"deep{suffix}"
    image.write(Picture((values,)), path)
    assert np.array_equal(read(path), values)
    assert read(path).dtype == np.uint16


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"byteorder": ">"},
        {"byteorder": ">", "compression": "zlib"},
        {"compression": "zlib", "predictor": True},
        {"tile": (16, 16)},
        {"tile": (16, 16), "compression": "zlib"},
        {"rowsperstrip": 5},
        {"bigtiff": True},
        {"planarconfig": "separate"},
        {"planarconfig": "separate", "compression": "zlib"},
    ],
    ids=str,
)
@pytest.mark.parametrize("channels", [3, 4])
def test_tiff_as_others_write_it(tmp_path: Path, options: dict, channels: int) -> None:
    values = noise(channels)
    stored = values.transpose(2, 0, 1) if "planarconfig" in options else values
    extra = ["unassalpha"] if channels == 4 else None
    path = tmp_path / "deep.tif"
    tifffile.imwrite(path, stored, photometric="rgb", extrasamples=extra, **options)
    assert np.array_equal(read(path), values)
    assert image.probe(path).size == SIZE


@pytest.mark.parametrize("byteorder", ["<", ">"])
def test_grey_of_both_byte_orders(tmp_path: Path, byteorder: str) -> None:
    values = noise(1)
    tifffile.imwrite(tmp_path / "grey.tif", values[..., 0], byteorder=byteorder)
    assert np.array_equal(read(tmp_path / "grey.tif"), values)


def test_grey_with_alpha_in_tiff(tmp_path: Path) -> None:
    values = noise(2)
    tifffile.imwrite(
        tmp_path / "a.tif", values, photometric="minisblack", extrasamples=["unassalpha"]
    )
    assert np.array_equal(read(tmp_path / "a.tif"), values)
    assert image.probe(tmp_path / "a.tif").size == SIZE


def test_pages_and_profile_of_grey_with_alpha(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    grey = profiles.adobe().profile(1)
    pages = (noise(2), noise(2, (3, 90)))
    image.write(Picture(pages, Metadata(grey)), tmp_path / "a.tif")
    got = image.read(tmp_path / "a.tif")
    assert all(map(np.array_equal, got.frames, pages))
    assert got.metadata.profile == grey
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 37 * 53 + 3 * 90 - 1)
    for reader in (image.read, image.probe):
        with pytest.raises(OSError, match="million pixels"):
            reader(tmp_path / "a.tif")


def test_premultiplied_alpha_is_divided_out(tmp_path: Path) -> None:
    values = noise(4)
    values[..., 3] = 32768
    values[..., :3] //= 2
    tifffile.imwrite(tmp_path / "a.tif", values, photometric="rgb", extrasamples=["assocalpha"])
    expected = np.minimum(np.rint(values[..., :3] * (65535 / 32768)), 65535)
    assert np.abs(read(tmp_path / "a.tif")[..., :3] - expected).max() <= 1


def test_an_unspecified_fourth_channel_is_no_alpha(tmp_path: Path) -> None:
    values = noise(4)
    tifffile.imwrite(tmp_path / "a.tif", values, photometric="rgb", extrasamples=["unspecified"])
    assert np.array_equal(read(tmp_path / "a.tif"), values[..., :3])


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("layout", ["contig", "separate"])
def test_orientation(tmp_path: Path, orientation: int, layout: str) -> None:
    values = noise(3)
    stored = values.transpose(2, 0, 1) if layout == "separate" else values
    tags = [(274, "H", 1, orientation, True)]
    tifffile.imwrite(
        tmp_path / "a.tif", stored, photometric="rgb", planarconfig=layout, extratags=tags
    )
    Image.fromarray((values >> 8).astype(np.uint8)).save(tmp_path / "a.png", exif=exif(orientation))
    assert np.array_equal(read(tmp_path / "a.tif") >> 8, read(tmp_path / "a.png"))
    assert image.probe(tmp_path / "a.tif").size == read(tmp_path / "a.tif").shape[:2]
    assert image.probe(tmp_path / "a.png").size == read(tmp_path / "a.tif").shape[:2]


def exif(orientation: int) -> Image.Exif:
    made = Image.Exif()
    made[0x0112] = orientation
    return made


def test_a_16_bit_colour_key_becomes_alpha(tmp_path: Path) -> None:
    values = noise(3)
    values[0, 0] = (1, 2, 3)
    values[0, 1] = (1, 2, 4)  # the same in 8 bit
    path = tmp_path / "key.png"
    image.write(Picture((values,)), path)
    content = path.read_bytes()
    key = chunk(b"tRNS", bytes([0, 1, 0, 2, 0, 3]))
    path.write_bytes(content[:33] + key + content[33:])
    got = read(path)
    assert got.shape == (*SIZE, 4)
    assert got[0, 0].tolist() == [1, 2, 3, 0]
    assert got[0, 1].tolist() == [1, 2, 4, 65535]


def test_other_readers_agree(tmp_path: Path) -> None:
    values = noise(3)
    image.write(Picture((values,)), tmp_path / "a.tif")
    assert np.array_equal(tifffile.imread(tmp_path / "a.tif"), values)
    image.write(Picture((values,)), tmp_path / "a.png")
    with Image.open(tmp_path / "a.png") as opened:
        opened.verify()
    with Image.open(tmp_path / "a.png") as opened:
        assert np.array_equal(np.asarray(opened), values >> 8)


def test_a_ramp_keeps_its_levels(tmp_path: Path) -> None:
    ramp = np.arange(65536, dtype=np.uint16).reshape(256, 256)
    dark = ramp // 256  # as dark as 8 bit, and still 16
    for name, values in {"ramp": ramp, "dark": dark}.items():
        for suffix in (".png", ".tif"):
            Image.fromarray(values).save(tmp_path / f"{name}{suffix}")
            assert np.array_equal(read(tmp_path / f"{name}{suffix}")[..., 0], values)


def test_white_may_be_zero_in_tiff(tmp_path: Path) -> None:
    values = noise(1)[..., 0]
    tifffile.imwrite(tmp_path / "a.tif", 65535 - values, photometric="miniswhite")
    assert np.array_equal(read(tmp_path / "a.tif")[..., 0], values)
    low = (values >> 8).astype(np.uint8)
    tifffile.imwrite(tmp_path / "b.tif", 255 - low, photometric="miniswhite")
    assert np.array_equal(read(tmp_path / "b.tif")[..., 0], low)


def test_12_bits_fill_the_range(tmp_path: Path) -> None:
    directory = TiffImagePlugin.ImageFileDirectory_v2()
    tags = {256: 2, 257: 1, 258: 12, 259: 1, 262: 1, 273: (0,), 277: 1, 278: 1, 279: (3,)}
    directory.update(tags)
    content = directory.tobytes(8) + b"\xff\xf8\x00"  # 4095, 2048
    (tmp_path / "a.tif").write_bytes(b"II*\0\x08\0\0\0" + content)
    assert read(tmp_path / "a.tif").ravel().tolist() == [65535, 2048 * 65535 // 4095]


@pytest.mark.parametrize(("kind", "channels"), [(b"P5", 1), (b"P6", 3)])
@pytest.mark.parametrize("highest", [65535, 4095, 100])
def test_ppm_of_any_depth(tmp_path: Path, kind: bytes, channels: int, highest: int) -> None:
    values = noise(channels).astype(int) % (highest + 1)
    stored = values.astype(">u2" if highest > 255 else "u1").tobytes()
    path = tmp_path / "a.ppm"
    path.write_bytes(b"%s %d %d %d\n" % (kind, SIZE[1], SIZE[0], highest) + stored)
    largest = 65535 if highest > 255 else 255
    assert np.array_equal(read(path), np.floor(values * largest / highest + 0.5))
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(OSError, match=r"truncated|not enough"):
        read(path)


@pytest.mark.parametrize(("kind", "channels"), [(b"P2", 1), (b"P3", 3)])
@pytest.mark.parametrize("highest", [65535, 1023, 255, 100])
def test_ppm_whose_numbers_are_texts(
    tmp_path: Path, kind: bytes, channels: int, highest: int
) -> None:
    values = noise(channels).astype(int) % (highest + 1)
    texts = b"\n".join(b"%d" % value for value in values.ravel())
    path = tmp_path / "a.ppm"
    head = b"%s #\n%d %d %d\n" % (kind, SIZE[1], SIZE[0], highest)
    path.write_bytes(head + texts.replace(b"\n", b" # 7 8\n", 2) + b"\n")
    largest = 65535 if highest > 255 else 255
    assert np.array_equal(read(path), np.floor(values * largest / highest + 0.5))
    for rest, told in ((b"x", "no number"), (b"70000", "not from 0 to"), (b"1", "truncated")):
        path.write_bytes(head + rest)
        with pytest.raises(OSError, match=told):
            read(path)


def test_further_pictures_behind_a_ppm_are_told(tmp_path: Path) -> None:
    kinds = {
        b"P4 9 2\n": 4, b"P5 3 2 255\n": 6, b"P5 3 2 65535\n": 12, b"P6 3 2 255\n": 18,
        b"P6 3 2 9\n": 18, b"P6 3 2 999\n": 36,
    }  # fmt: skip
    for head, size in kinds.items():
        whole = head + bytes(size)
        for behind, told in ((b"", ()), (b"\n", ()), (whole, ("further pictures",))):
            (tmp_path / "a.ppm").write_bytes(whole + behind)
            assert image.read(tmp_path / "a.ppm").dropped == told


def test_a_truncated_file_is_an_error(tmp_path: Path) -> None:
    for suffix in (".png", ".tif"):
        path = tmp_path / f"a{suffix}"
        image.write(Picture((noise(3),)), path)
        path.write_bytes(path.read_bytes()[:3000])
        with pytest.raises(OSError, match="cannot read"):
            image.read(path)


def test_a_compression_that_needs_another_package(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def missing(page: tifffile.TiffPage) -> None:
        raise ValueError("<COMPRESSION.LZW: 5> requires the 'imagecodecs' package")

    tifffile.imwrite(
        tmp_path / "a.tif", noise(3).transpose(2, 0, 1), photometric="rgb", planarconfig="separate"
    )
    monkeypatch.setattr(tifffile.TiffPage, "asarray", missing)
    with pytest.raises(OSError, match="needs the package imagecodecs, which is not installed"):
        read(tmp_path / "a.tif")


def test_a_page_without_pixels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tifffile.imwrite(
        tmp_path / "a.tif", noise(3).transpose(2, 0, 1), photometric="rgb", planarconfig="separate"
    )
    monkeypatch.setattr(tifffile.TiffPage, "asarray", lambda page: np.zeros(0, np.uint16))
    with pytest.raises(OSError, match="damaged: its header and its pixels do not agree"):
        read(tmp_path / "a.tif")
