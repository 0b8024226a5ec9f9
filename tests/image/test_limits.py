"""Small files that ask for much: frames, directories, memory."""

import struct
import subprocess
import sys
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from PIL import BmpImagePlugin, Image, PngImagePlugin

from ccsr import device, image
from ccsr.image import Picture, limits
from picture_parts import chunk, only


@pytest.fixture(autouse=True)
def usual_limits() -> Iterator[None]:
    yield
    image.limit_frames(limits.MOST_FRAMES)


def dots(count: int) -> bytes:
    """A GIF of `count` frames of one pixel."""
    start = b"GIF89a\x01\0\x01\0\x80\0\0" + bytes(3) + b"\xff" * 3
    frame = b"!\xf9\4\0\n\0\0\0" + b",\0\0\0\0\1\0\1\0\0" + b"\2\2\x44\1\0"
    return start + frame * count + b";"


def test_many_frames_are_refused(tmp_path: Path) -> None:
    (tmp_path / "a.gif").write_bytes(dots(200_000))
    for reader in (image.probe, image.read):
        with pytest.raises(OSError, match=r"a\.gif: it has more than 10000 frames .* --max-frames"):
            reader(tmp_path / "a.gif")
    (tmp_path / "b.gif").write_bytes(dots(7))
    assert image.probe(tmp_path / "b.gif").frames == 7


def animated(path: Path) -> None:
    frames = tuple(np.full((16, 16, 3), 40 * i, np.uint8) for i in range(4))
    image.write(Picture(frames, durations=() if path.suffix == ".tif" else (50,) * 4), path)


@pytest.mark.parametrize("suffix", [".gif", ".png", ".webp", ".avif", ".tif"])
def test_the_limit_of_frames_counts_in_every_format(tmp_path: Path, suffix: str) -> None:
    animated(tmp_path / f"a{suffix}")
    image.limit_frames(4)
    assert len(image.read(tmp_path / f"a{suffix}").frames) == 4
    image.limit_frames(3)
    for reader in (image.probe, image.read):
        with pytest.raises(OSError, match="it has more than 3 frames or pages"):
            reader(tmp_path / f"a{suffix}")


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".webp", ".gif", ".bmp", ".tif"])
def test_what_does_not_fit_is_refused_before_it_is_decoded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, suffix: str
) -> None:
    path = tmp_path / f"a{suffix}"
    Image.new("RGB", (900, 700)).save(path)
    needed = image.probe(path).demand
    monkeypatch.setattr(device, "free_memory", lambda device: needed.held + needed.most)
    assert image.read(path).size == (700, 900)
    monkeypatch.setattr(device, "free_memory", lambda device: needed.held + needed.most - 1)
    with pytest.raises(RuntimeError, match=r"cannot read .*: decoding 900x700 pixels needs .* GiB"):
        image.read(path)
    path.write_bytes(path.read_bytes()[:-200] + bytes(200))  # it is not looked at
    with pytest.raises(RuntimeError, match="decoding 900x700 pixels needs"):
        image.read(path)


def test_frames_that_do_not_fit_together(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for suffix in (".png", ".tif"):
        animated(tmp_path / f"a{suffix}")
        needed = image.probe(tmp_path / f"a{suffix}").demand
        assert needed.held >= 4 * 16 * 16 * 3
        monkeypatch.setattr(device, "free_memory", lambda device: 100)
        with pytest.raises(RuntimeError, match="decoding 4 times 16x16 pixels needs"):
            image.read(tmp_path / f"a{suffix}")


@pytest.mark.long
@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="only Linux tells it")
def test_the_estimate_holds(tmp_path: Path) -> None:
    """Of the peak while reading; and it is not far from it."""
    noise = np.random.default_rng(0).integers(0, 256, (2000, 2500, 4), np.uint8)
    noise[:, 100:] = 90
    for name, channels in {"a.png": 3, "b.png": 4, "c.jpg": 3, "d.webp": 4, "e.png": 1}.items():
        picture = Image.fromarray(noise[..., :channels].squeeze())
        picture.save(tmp_path / name, progressive=True)
    deep = noise.astype(np.uint16) * 257
    image.write(Picture((deep[..., :3],)), tmp_path / "f.png")
    image.write(Picture((deep[..., :3],)), tmp_path / "g.tif")
    tifffile.imwrite(tmp_path / "h.tif", np.moveaxis(deep, 2, 0), photometric="rgb")
    floats = deep[..., :3].astype(np.float32) / 65535
    image.write(Picture((floats,)), tmp_path / "i.tif")
    image.write(Picture((floats,)), tmp_path / "j.pfm")
    image.write(Picture((floats[..., :1],)), tmp_path / "k.tif")
    tifffile.imwrite(tmp_path / "l.tif", floats, photometric="rgb", compression="zlib")
    program = """
import sys
from pathlib import Path
from PIL import BmpImagePlugin, Image, PngImagePlugin
from ccsr import image
def status(key):
    lines = Path("/proc/self/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith(key)).split()[1]) * 1024
Image.init()
for path in sys.argv[1:]:
    needed = image.probe(path).demand
    Path("/proc/self/clear_refs").write_text("5")
    before = status("VmRSS")
    picture = image.read(path)
    print(Path(path).name, needed.held + needed.most, status("VmHWM") - before)
    del picture
"""
    command = [sys.executable, "-c", program, *map(str, sorted(tmp_path.iterdir()))]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    lines = [line.split() for line in done.stdout.splitlines()]
    assert len(lines) == 12
    for name, estimate, peak in lines:
        assert int(peak) <= 1.02 * int(estimate), name
        assert int(estimate) <= 3.5 * int(peak), name


@pytest.mark.parametrize("limit", [10, 24])
def test_too_many_pixels_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, limit: int
) -> None:
    Image.effect_noise((5, 5), 60).convert("RGB").save(tmp_path / "bomb.png")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 0)
    image.limit_pixels(limit)
    for reader in (image.read, image.probe):
        with pytest.raises(OSError, match=r"bomb\.png: it has more than .* raise --max-pixels\)"):
            reader(tmp_path / "bomb.png")
    image.limit_pixels(25)
    assert only(tmp_path / "bomb.png").shape == (5, 5, 3)


@pytest.mark.parametrize("inside", ["png", "dib"])
def test_a_picture_in_an_icon_is_refused_before_it_is_decoded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, inside: str
) -> None:
    """Its own header counts: the icon's says 16x16 pixels, of which Pillow takes no notice."""
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 5999)
    if inside == "png":
        content = b"\x89PNG\r\n\x1a\n" + chunk(
            b"IHDR", struct.pack(">IIBBBBB", 100, 60, 8, 2, 0, 0, 0)
        )
        content += chunk(b"IDAT", zlib.compress(bytes(60 * 301))) + chunk(b"IEND", b"")
    else:
        content = struct.pack("<IiiHHIIiiII", 40, 100, 120, 1, 24, *[0] * 6) + bytes(18_960)
    entry = struct.pack("<BBBBHHII", 16, 16, 0, 0, 1, 24, len(content), 22)
    (tmp_path / "a.ico").write_bytes(b"\0\0\1\0\1\0" + entry + content)
    with monkeypatch.context() as patch:
        patch.setattr(PngImagePlugin.PngImageFile, "load", None)
        patch.setattr(BmpImagePlugin.DibImageFile, "load", None)
        for reader in (image.read, image.probe):
            with pytest.raises(OSError, match=r"a\.ico: it has more than .* million pixels"):
                reader(tmp_path / "a.ico")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 6000)
    assert only(tmp_path / "a.ico").shape[:2] == (60, 100)


@pytest.mark.parametrize("suffix", [".gif", ".tif"])
def test_pixels_of_all_frames_count(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, suffix: str
) -> None:
    frames = [Image.new("RGB", (4, 4), colour) for colour in ("red", "green", "blue")]
    frames[0].save(tmp_path / f"a{suffix}", save_all=True, append_images=frames[1:])
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 47)
    with pytest.raises(OSError, match=r"more than 4\.7e-05 million pixels"):
        image.read(tmp_path / f"a{suffix}")


def bombs() -> dict[str, bytes]:
    """Small files whose headers promise 50,000 x 50,000 pixels (WebP: all that it can)."""
    header = struct.pack(">IIBBBBB", 50_000, 50_000, 8, 2, 0, 0, 0)
    png = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", bytes(99))
    sides = struct.pack("<HH", 50_000, 50_000)
    gif = b"GIF89a" + sides + bytes(3) + b"," + bytes(4) + sides + b"\0\x08\x01\x44\0;"
    bmp = b"BM" + struct.pack("<IIIIiiHHIIiiII", 99, 0, 54, 40, 50_000, 50_000, 1, 24, *[0] * 6)
    side = (16_382).to_bytes(3, "little")
    vp8x = b"VP8X" + struct.pack("<I", 10) + bytes(4) + side + side
    webp = b"RIFF" + struct.pack("<I", 4 + len(vp8x)) + b"WEBP" + vp8x
    return {"png": png, "gif": gif, "bmp": bmp, "webp": webp, "ppm": b"P6 50000 50000 255\n" * 9}


def test_bombs_take_neither_time_nor_memory(tmp_path: Path) -> None:
    for kind, content in bombs().items():
        (tmp_path / kind).write_bytes(content)
    program = """
import resource, sys, time
from ccsr import image
for path in sys.argv[1:]:
    before, started = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.monotonic()
    try:
        image.read(path)
    except OSError as error:
        print(error)
        assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 50_000, path  # KiB
        assert time.monotonic() - started < 1, path
"""
    command = [sys.executable, "-c", program, *map(str, sorted(tmp_path.iterdir()))]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    refused = done.stdout.splitlines()
    assert len(refused) == len(bombs())
    for line in refused:
        # behind the header of the WebP there is nothing, and that is seen first
        assert "decompression bomb" in line or "webp: not an image" in line


@pytest.mark.parametrize(
    ("kind", "head"),
    [
        (b"iTXt", b"Comment\0\1\0\0\0"),
        (b"iTXt", b"XML:com.adobe.xmp\0\1\0\0\0"),
        (b"zTXt", b"Comment\0\0"),
        (b"iCCP", b"a\0\0"),
    ],
)
def test_a_bomb_beside_the_pixels_is_called_so(tmp_path: Path, kind: bytes, head: bytes) -> None:
    Image.new("RGB", (8, 8)).save(tmp_path / "a.png")
    data = (tmp_path / "a.png").read_bytes()
    bomb = chunk(kind, head + zlib.compress(bytes(20_000_000)))
    (tmp_path / "a.png").write_bytes(data[:33] + bomb + data[33:])
    with pytest.raises(OSError, match=r"a text or profile in it unpacks to more than 16 megabytes"):
        image.read(tmp_path / "a.png")


@pytest.mark.parametrize("wrong", [0, -5, 1e6, "1000", None, True])
def test_limits_are_whole_numbers(wrong: Any) -> None:
    before = Image.MAX_IMAGE_PIXELS
    with pytest.raises(ValueError, match="limit of pixels must be a whole number of at least 1"):
        image.limit_pixels(wrong)
    with pytest.raises(ValueError, match="limit of frames must be a whole number of at least 1"):
        image.limit_frames(wrong)
    assert before == Image.MAX_IMAGE_PIXELS
