"""DIV2K's official archives, and the images of the usual benchmarks from public repositories."""

import csv
import shutil
import zipfile
import zlib
from collections.abc import Callable, Sequence
from pathlib import Path

from ccsr.atomic import make_folder, naming, replacing
from ccsr.bundled import resource_dir
from ccsr.datasets.gather import Task, within
from ccsr.datasets.remote import RemoteFile

DIV2K_URL = "https://data.vision.ee.ethz.ch/cvl/DIV2K"
DIV2K_TERMS = (
    "DIV2K may be used for academic research only; each picture belongs to its photographer "
    f"({DIV2K_URL}/)"
)
# Sizes and SHA-256 as TensorFlow Datasets lists them, and the folder that each unpacks to.
DIV2K = {
    "DIV2K_train_HR": (
        3530603713,
        "9d0b9c463f6e35b6c62cc6a930ee2224f670b34c1df841a57670f9acf0f6c335",
    ),
    "DIV2K_valid_HR": (
        448993893,
        "20dd31fd84d777bc1cf5d6b7654a3f569c0aec74458ae094122ad1d0489900fc",
    ),
}
# The licence of each set, and whether one must agree to it.
BENCHMARKS = {
    "Set5": ("no licence is stated, research use is customary (Bevilacqua et al. 2012)", True),
    "Set14": ("no licence is stated, research use is customary (Zeyde et al. 2010)", True),
    "B100": ("non-commercial research and education (BSDS500, Martin et al. 2001)", True),
    "Urban100": ("pictures from Flickr, research use (Huang et al. 2015)", True),
    "Kodak24": ("released by Kodak for unrestricted use", False),
}


def div2k_tasks(folder: Path) -> list[Task]:
    """What is left to do to have DIV2K's training and validation photos in `folder`."""
    return [
        Task(
            RemoteFile(sha256, size, f"{name}.zip", url=f"{DIV2K_URL}/{name}.zip"),
            _unpacking(name, folder),
            made=size,  # photos are packed as they are
        )
        for name, (size, sha256) in DIV2K.items()
        if not ((folder / name).is_dir() and any((folder / name).iterdir()))
    ]


def benchmark_tasks(names: Sequence[str], folder: Path) -> list[Task]:
    """What is left to do to have these test sets in `folder`, as they are usually laid out."""
    with (resource_dir("benchmarks") / "images.csv").open(newline="", encoding="utf-8") as stream:
        rows = [row for row in csv.DictReader(stream) if row["set"] in names]
    return [
        Task(
            RemoteFile(
                row["sha256"],
                int(row["bytes"]),
                row["path"],
                repo=row["repo"],
                commit=row["commit"],
            ),
            _copying(path),
            folders=(path.parent,),
        )
        for row in rows
        if not (path := within(folder, row["file"])).is_file()
    ]


def _copying(path: Path) -> Callable[[Path], None]:
    def keep(copy: Path) -> None:
        make_folder(path)
        with replacing(path) as part:
            shutil.copyfile(copy, part)

    return keep


def _unpacking(name: str, folder: Path) -> Callable[[Path], None]:
    """What unpacks an archive to `folder / name`, which is there as a whole or not at all."""

    def unpack(copy: Path) -> None:
        room = folder / f".ccsr-unpack-{name}"
        shutil.rmtree(room, ignore_errors=True)
        try:
            with naming(folder / name):
                with zipfile.ZipFile(copy) as archive:
                    archive.extractall(room)  # keeps within the folder whatever the names say
                if not (room / name).is_dir():
                    raise ValueError(
                        f"{name}.zip holds no folder {name}: this is no archive of DIV2K"
                    )
                (room / name).rename(folder / name)
        except (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError) as error:
            raise ValueError(f"{name}.zip cannot be unpacked: {error}") from error
        finally:
            shutil.rmtree(room, ignore_errors=True)

    return unpack
