"""Damaged pictures of every format through the door of a folder run, into every format.

Each file is a seed, written by Pillow or by `picture_files.py`, with random mutations. Whatever
comes of it: no exception that is not a sentence about that file, no picture takes longer than
`PATIENCE`, no crash, and the memory does not grow. The same seed gives the same files.

    python tests/fuzz.py --files 10000
"""

import argparse
import faulthandler
import io
import random
import re
import shutil
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from PIL import ExifTags, Image, ImageCms

from ccsr import image
from ccsr.image import profiles
from ccsr.image.formats import FORMATS
from ccsr.jobs.checks import Job
from ccsr.jobs.pipeline import run
from ccsr.jobs.target import Target
from ccsr.jobs.writing import Outcome
from ccsr.upscaling.upscaler import Upscaler
from networks import tiny
from picture_files import MAKERS
from picture_formats import chunk

PATIENCE = 10  # seconds without news
GROWTH = 64 << 20  # bytes, from a fifth of the run to its end
MOST_PIXELS = 100_000  # lying headers that promise more are refused
BATCH = 100
OUTPUT = image.Output("same", background=(255, 255, 255))
TARGET = Target(scale=(1.5, 1.5))
MODES = ("1", "L", "LA", "P", "PA", "RGB", "RGBA", "CMYK", "YCbCr", "LAB", "I;16", "I", "F")
OPTIONS = {
    "JPEG": {"progressive": True, "quality": 30},
    "TIFF": {"compression": "tiff_lzw"},
    "WEBP": {"lossless": True},
    "PNG": {"transparency": 3},
}
NUMBERS = (
    b"\0",
    b"\xff",
    b"\x7f\xff",
    b"\0\0\0\0",
    b"\xff\xff\xff\xff",
    b"\x7f\xff\xff\xff",
    b"\x80\0\0\0",
)
A_BUG = re.compile(r"cannot enlarge .*: [A-Z]\w*(Error|Exception|Warning)\b")


def seeds() -> dict[str, bytes]:
    """One small file per format and mode that Pillow writes, with profile and EXIF, and frames."""
    Image.init()
    rng = random.Random(0)
    noise = Image.frombytes("RGBA", (23, 17), rng.randbytes(23 * 17 * 4))
    exif = Image.Exif()
    exif[0x0112] = 6  # orientation
    exif[0x010F] = "camera"
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    files: dict[str, bytes] = {}
    for kind in sorted(Image.SAVE):
        for mode in MODES:
            picture = _convert(noise, mode)
            plain = _encode(picture, kind)
            if plain:
                files[f"{kind}-{mode}"] = plain
            rich = {"exif": exif, "icc_profile": profile, "dpi": (72, 72)}
            for variant, options in (("rich", rich), ("options", OPTIONS.get(kind, {}))):
                varied = _encode(picture, kind, **options)
                if varied and varied != plain:
                    files[f"{kind}-{mode}-{variant}"] = varied
        if kind in Image.SAVE_ALL:
            frames = {"save_all": True, "append_images": [noise.rotate(90), noise.rotate(180)]}
            several = _encode(noise, kind, **frames) or _encode(noise.convert("RGB"), kind)
            if several:
                files[f"{kind}-frames"] = several
    for (kind, name), make in MAKERS.items():
        files[f"{name}-{kind}"] = make()[0]
    return files | _telling(noise)


def _telling(noise: Image.Image) -> dict[str, bytes]:
    """Files that tell colours, descriptions and other streams in more ways than Pillow writes."""
    colours = profiles.of_code(9, 16)
    profile = colours.profile(3) if colours else b""
    xmp = (
        b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><a GPano:FullPanoWidthPixels="99" '
        b'GCamera:MotionPhoto="1" stDim:w="9" stDim:unit="pixel"/></x:xmpmeta>'
    )
    exif = Image.Exif()
    exif.get_ifd(ExifTags.IFD.Exif).update({37396: (3, 4, 5, 6), 41486: 300.0, 40962: 23})
    rgb = noise.convert("RGB")
    described = {"icc_profile": profile, "xmp": xmp, "exif": exif}
    files = {
        f"{kind}-told": _encode(rgb, kind, **described) or b""
        for kind in ("PNG", "JPEG", "WEBP", "TIFF", "AVIF")
    }
    code = chunk(b"cICP", bytes((9, 16, 0, 0)))
    gamma = chunk(b"gAMA", (55_555).to_bytes(4, "big")) + chunk(b"cHRM", bytes(range(32)))
    plain = _encode(rgb, "PNG") or b""
    video = b"\0\0\0\x18ftypmp42" + bytes(40)
    return files | {
        "PNG-code": plain[:33] + code + plain[33:],
        "PNG-gamma": plain[:33] + gamma + plain[33:],
        "JPEG-video": files["JPEG-told"] + files["JPEG-told"] + video,
    }


def _convert(picture: Image.Image, mode: str) -> Image.Image:
    if mode == "LAB":
        return Image.frombytes("LAB", picture.size, picture.convert("RGB").tobytes())
    if mode == "PA":
        return picture.convert("RGB").convert("P").convert("PA")
    if mode in ("I;16", "I", "F"):
        return picture.convert("L").convert("I").convert(mode)
    return (
        picture.convert("RGB").convert(mode)
        if mode in ("CMYK", "YCbCr", "P")
        else picture.convert(mode)
    )


def _encode(picture: Image.Image, kind: str, **options: object) -> bytes | None:
    stream = io.BytesIO()
    try:
        picture.save(stream, kind, **options)
    except Exception:  # this format does not have that mode
        return None
    return stream.getvalue()


def mutated(rng: random.Random, data: bytes, other: bytes) -> bytes:
    """`data` after one or two random damages; half of them near its start."""
    for _ in range(rng.randint(1, 2)):
        size = max(1, len(data))
        at = rng.randrange(min(size, 128) if rng.random() < 0.5 else size)
        length = min(rng.choice((1, 2, 4, 16, 64, 256)), size - at)
        number = rng.choice(NUMBERS)
        number = number[::-1] if rng.random() < 0.5 else number
        part = {
            "cut off": (data[:at], b"", b""),
            "flip a bit": (
                data[:at],
                bytes([data[at] ^ 1 << rng.randrange(8)]) if data else b"",
                data[at + 1 :],
            ),
            "noise": (data[:at], rng.randbytes(length), data[at + length :]),
            "a number": (data[:at], number, data[at + len(number) :]),
            "remove": (data[:at], b"", data[at + length :]),
            "repeat": (data[:at], data[at : at + length] * 3, data[at + length :]),
            "insert": (data[:at], rng.randbytes(length), data[at:]),
            "another file": (data[:at], other[at : at + length], data[at + length :]),
            "another end": (data[:at], b"", other[at:]),
        }
        data = b"".join(part[rng.choice(sorted(part))])
    return data


class Watch:
    """Looks at every outcome; a hang ends the process with the place where it hangs."""

    def __init__(self) -> None:
        self.kinds: Counter[str] = Counter()
        self.bugs: list[str] = []
        self.slowest = 0.0
        self._since = time.monotonic()

    def news(self, source: Path | None = None, share: float = 0) -> None:
        self.slowest = max(self.slowest, time.monotonic() - self._since)
        self._since = time.monotonic()
        faulthandler.dump_traceback_later(PATIENCE, exit=True)

    def outcome(self, outcome: Outcome) -> None:
        self.news()
        error = outcome.error
        named = str(outcome.job.source) in error or str(outcome.job.output) in error
        if error and (not named or "\n" in error or A_BUG.match(error)):
            self.bugs.append(f"{error}\n{outcome.trace}")
        if not error and image.read(outcome.job.output).size != outcome.size:
            self.bugs.append(f"{outcome.job.output} is not of size {outcome.size}")
        self.kinds["refused" if error else "enlarged"] += 1
        if not error:
            outcome.job.output.unlink()
        if not (self.bugs and named):
            outcome.job.source.unlink()


def memory() -> int:
    """Bytes that the process holds; 0 where the system does not say."""
    try:
        return int(Path("/proc/self/statm").read_text().split()[1]) * 4096
    except OSError:
        return 0


def upscaler() -> Upscaler:
    """A network that is quick."""
    return Upscaler(tiny(None), device="cpu", precision="fp32")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--files", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    image.limit_pixels(MOST_PIXELS)
    originals = seeds()
    names = sorted(originals)
    suffixes = sorted(image.READABLE)
    written = [suffix for known in FORMATS.values() for suffix in known.suffixes]
    network, watch = upscaler(), Watch()
    folder = Path(tempfile.mkdtemp(prefix="ccsr-fuzz-"))
    print(f"{len(names)} seeds of {len({n.split('-')[0] for n in names})} formats in {folder}")
    before = 0
    for start in range(0, args.files, BATCH):
        jobs = []
        for number in range(start, min(start + BATCH, args.files)):
            rng = random.Random(f"{args.seed} {number}")
            name, other = rng.choice(names), rng.choice(names)
            plain = re.sub(r"[^\w-]", "", name)
            source = folder / f"{number}-{plain}{rng.choice(suffixes)}"
            source.write_bytes(mutated(rng, originals[name], originals[other]))
            jobs.append(Job(source, folder / f"out-{number}{rng.choice(written)}"))
        watch.news()
        run(jobs, TARGET, network, watch.outcome, OUTPUT, progress=watch.news)
        if start <= args.files // 5:
            before = memory()
    faulthandler.cancel_dump_traceback_later()
    growth = memory() - before
    print(f"{dict(watch.kinds)}, slowest {watch.slowest:.1f} s, growth {growth >> 20} MiB")
    if growth > GROWTH:
        watch.bugs.append(f"the memory grew by {growth >> 20} MiB")
    for bug in watch.bugs[:20]:
        print(bug, file=sys.stderr)
    if not watch.bugs:
        shutil.rmtree(folder)
    return 1 if watch.bugs else 0


if __name__ == "__main__":
    sys.exit(main())
