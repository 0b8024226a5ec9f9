"""`ccsr upscale` over files: what is written where, decided before any work; then the work."""

import math
import os
import re
import unicodedata
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, NamedTuple

from ccsr import image, stream
from ccsr.arguments import scale_text
from ccsr.progress import Progress
from ccsr.resample import Size, output_size
from ccsr.upscale import Upscaler

Exists = Literal["error", "skip", "overwrite"]


@dataclass(frozen=True)
class Target:
    """The wanted size: a scale, or a height, a width or both.

    Attributes:
        scale: (vertical, horizontal).
        height: in pixels; with `width` None the aspect ratio is kept.
        width: likewise.
    """

    scale: tuple[float, float] | None = None
    height: int | None = None
    width: int | None = None

    @property
    def label(self) -> str:
        """What is appended to file names; width before height: 2.37x, 2x1.5x, 1920x1080, 1920w."""
        if self.scale:
            return f"{scale_text(self.scale)}x"
        if self.width and self.height:
            return f"{self.width}x{self.height}"
        return f"{self.width}w" if self.width else f"{self.height}h"

    def size(self, source: Size) -> Size:
        """(H, W) for a picture of size (h, w): nearest, halves up, at least 1."""
        if self.scale:
            return output_size(source, self.scale)
        height = self.height or math.floor(source[0] * (self.width or 1) / source[1] + 0.5)
        width = self.width or math.floor(source[1] * (self.height or 1) / source[0] + 0.5)
        return max(1, height), max(1, width)


class Job(NamedTuple):
    """One picture to enlarge."""

    source: Path
    output: Path


def plan(
    inputs: Sequence[Path], output: str | None, target: Target, exists: Exists = "error"
) -> list[Job]:
    """Decide what is read and written, and refuse what cannot go well.

    Args:
        inputs: files, and folders whose images are taken in natural order, without subfolders.
        output: a file, a folder (one that exists, ends in a separator, or several inputs need),
            or None: beside each input.
        target: names the outputs: `NAME_2.37x.png`.
        exists: what to do about outputs that exist; `skip` leaves them out.

    Raises:
        ValueError: if a folder holds no image, two inputs have one output, an output is an
            input, exists already (`error`), or has a suffix that nobody can write.
    """
    single = len(inputs) == 1 and not inputs[0].is_dir()
    folder = _output_folder(output, single)

    def output_of(source: Path) -> Path:
        if output is not None and folder is None:
            return Path(output)
        return (folder or source.parent) / f"{source.stem}_{target.label}.png"

    sources: list[Path] = []
    for given in inputs:
        sources += _images_in(given, output_of) if given.is_dir() else [given]
    jobs = [Job(source, output_of(source)) for source in dict.fromkeys(sources)]
    for job in jobs:
        image.check_output(job.output)
    _refuse_collisions(jobs)
    present = [job for job in jobs if os.path.lexists(job.output)]
    if present and exists == "error":
        raise ValueError(
            f"{present[0].output} exists already ({len(present)} of {len(jobs)} outputs do): "
            "use --exists skip or --exists overwrite"
        )
    return [job for job in jobs if exists != "skip" or job not in present]


def run(
    jobs: Sequence[Job], target: Target, upscaler: Upscaler, *, quiet: bool, debug: bool
) -> int:
    """Do all jobs; one that fails is named on standard error and the others are done.

    Returns:
        The number of jobs that failed.
    """
    progress = Progress(len(jobs), quiet)
    failures = 0
    for job in jobs:
        progress.start(job.source)
        try:
            height, width = _enlarge(job, target, upscaler, progress.update)
        except (OSError, ValueError, RuntimeError, MemoryError) as error:
            failures += 1
            progress.fail(error, debug)
        else:
            progress.done(f"{job.output} ({width}x{height})")
    if failures and len(jobs) > 1:
        progress.error(f"{failures} of {len(jobs)} pictures failed")
    return failures


def _enlarge(
    job: Job, target: Target, upscaler: Upscaler, progress: Callable[[float], None]
) -> Size:
    source = image.read(job.source)
    size = target.size(source.size[::-1])
    image.check_output(job.output, size, source.mode)
    job.output.parent.mkdir(parents=True, exist_ok=True)
    wanted: dict[str, Any] = {"scale": target.scale} if target.scale else {"size": size}
    try:
        values = image.to_levels(source)
        if stream.worthwhile(upscaler, values, size, job.output):
            profile = source.info.get("icc_profile")
            del source  # `values` is a copy, and may be large
            stream.enlarge(
                upscaler, values, job.output, **wanted, profile=profile, progress=progress
            )
            return size
        result = upscaler(source, **wanted, progress=progress)
    except (RuntimeError, MemoryError) as error:
        raise RuntimeError(
            f"cannot enlarge {job.source}: {str(error) or 'out of memory'}"
        ) from error
    image.write(result, job.output)
    return size


def _output_folder(output: str | None, single: bool) -> Path | None:
    """The folder that `output` means; None if it means a file, or nothing was given."""
    if output is None:
        return None
    path = Path(output)
    separators = tuple(filter(None, (os.sep, os.altsep)))
    if path.is_dir() or output.endswith(separators):
        return path
    if single:
        if not path.suffix:
            raise ValueError(
                f"cannot tell the format of {output!r}: end it with a suffix such as .png, or "
                f"with {os.sep} for a folder"
            )
        return None
    if path.exists() or path.suffix:
        raise ValueError(
            f"several pictures need a folder as -o, got {output!r}: end it with {os.sep}"
        )
    return path


def _images_in(folder: Path, output_of: Callable[[Path], Path]) -> list[Path]:
    """Images of a folder in natural order, without what an earlier run made of the others."""
    files = [
        path
        for path in folder.iterdir()
        if path.suffix.lower() in image.READABLE
        and not path.name.startswith(".")
        and not path.is_dir()
    ]
    made = {output_of(path) for path in files}
    files = [path for path in files if path not in made]
    if not files:
        raise ValueError(
            f"no images in the folder {folder}: expected files that end in "
            f"{' '.join(sorted(image.READABLE))}"
        )
    return sorted(files, key=lambda path: natural(path.name))


def natural(name: str) -> list[tuple[int, int, str]]:
    """Sort key that puts `2.png` before `10.png`."""
    parts = re.findall(r"\d+|\D+", name.casefold())
    return [(0, int(part), "") if part.isdecimal() else (1, 0, part) for part in parts]


def _refuse_collisions(jobs: Iterable[Job]) -> None:
    """Two outputs of one name (also where only the case differs), or an output that is an input."""
    inputs = {_identity(job.source): job.source for job in jobs}
    seen: dict[str, Path] = {}
    for job in jobs:
        overwritten = inputs.get(_identity(job.output))
        if overwritten is not None:
            raise ValueError(
                f"{job.output} is an input and would be overwritten: choose another output by -o"
            )
        name = unicodedata.normalize("NFC", str(job.output.resolve())).casefold()
        if name in seen:
            raise ValueError(
                f"{seen[name]} and {job.source} would both be written to {job.output}: "
                "rename one or enlarge them apart"
            )
        seen[name] = job.source


def _identity(path: Path) -> tuple[int, int] | Path:
    """The same for all paths to one file."""
    try:
        status = path.stat()
    except OSError:
        return path.absolute()
    return status.st_dev, status.st_ino
