"""`ccsr upscale` over files and folders: what is read and written, decided before any work."""

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path
from typing import Literal

from ccsr import image
from ccsr.jobs.checks import Job, check, identity
from ccsr.jobs.target import Target, unlabelled

Exists = Literal["error", "skip", "overwrite"]


@dataclass
class Plan:
    """What a run is going to do.

    Attributes:
        jobs: in the order in which they are done.
        skipped: those whose outputs exist.
        made: pictures left out, since they are enlargements of others beside them.
        unlisted: folders that cannot be read, each with a sentence that says why.
    """

    jobs: list[Job] = field(default_factory=list)
    skipped: list[Job] = field(default_factory=list)
    made: list[Path] = field(default_factory=list)
    unlisted: dict[Path, str] = field(default_factory=dict)

    @property
    def notes(self) -> list[str]:
        """What a person should know before the work begins."""
        notes = []
        if self.made:
            notes.append(
                f"left out {len(self.made)} of the pictures, which are enlargements of others: "
                f"{self.made[0]}{', ...' if len(self.made) > 1 else ''}"
            )
        if self.skipped and self.jobs:
            notes.append(f"skipping {len(self.skipped)} pictures whose outputs exist")
        elif self.skipped:
            notes.append("nothing to do: all outputs exist")
        return notes


def make_plan(
    inputs: Sequence[Path],
    output: str | None,
    target: Target,
    exists: Exists = "error",
    files: image.Output = image.DEFAULT,
    *,
    recursive: bool = False,
) -> Plan:
    """Decide what is read and written, and refuse what cannot go well.

    Folders are read in natural order. What is hidden (`.name`), what lies below the output
    folder, and what an earlier run wrote beside its inputs is not taken.

    Args:
        inputs: files, and folders of images.
        output: a file, a folder (one that exists, ends in a separator, or several inputs need),
            or None: beside each input.
        target: names the outputs: `NAME_2.37x.png`, or another suffix of `files`.
        exists: what to do about outputs that exist; `skip` leaves them out.
        files: how they are written.
        recursive: take subfolders too, and make the same ones in the output folder.

    Raises:
        ValueError: if a folder holds no image, two inputs have one output, an output is an
            input, exists already (`error`), has a suffix or a name that cannot be written, or
            lies where nothing can be written.
    """
    single = len(inputs) == 1 and not inputs[0].is_dir()
    folder = _output_folder(output, single)
    result = Plan()
    jobs: dict[Path, Job] = {}
    for given in inputs:
        if not given.is_dir():
            written = Path(output) if output is not None and folder is None else None
            written = written or (folder or given.parent) / output_name(given, target, files)
            jobs.setdefault(given, Job(given, written))
            continue
        for source in _images_in(given, folder, recursive, result):
            beside = source.parent if folder is None else folder / source.parent.relative_to(given)
            jobs.setdefault(source, Job(source, beside / output_name(source, target, files)))
    check(jobs.values(), files)
    present = [job for job in jobs.values() if os.path.lexists(job.output)]
    if present and exists == "error":
        raise ValueError(
            f"{present[0].output} exists already ({len(present)} of {len(jobs)} outputs do): "
            "use --exists skip or --exists overwrite"
        )
    result.skipped = present if exists == "skip" else []
    left_out = set(result.skipped)
    result.jobs = [job for job in jobs.values() if job not in left_out]
    return result


def output_name(source: Path, target: Target, files: image.Output) -> str:
    """What the enlargement of `source` is called: `photo_2.37x.png`."""
    return f"{source.stem}_{target.label}{image.suffix_for(files.format, source.suffix)}"


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


def _images_in(folder: Path, output: Path | None, recursive: bool, result: Plan) -> list[Path]:
    """Images of a folder, or of its whole tree; notes in `result` what is left out."""
    own = identity(output) if output else None
    found = list(
        image.images_in(
            folder,
            recursive=recursive,
            leave_out=lambda path: identity(path) == own,
            unlisted=result.unlisted.__setitem__,
        )
    )
    if output is None or identity(folder) == own:
        groups = groupby(found, lambda path: path.parent)
        found = [path for _, images in groups for path in _without_made(list(images), result)]
    if folder in result.unlisted:
        raise ValueError(result.unlisted[folder])
    if not found:
        hint = "" if recursive else ", or --recursive for those in its subfolders"
        raise ValueError(
            f"no images in the folder {folder}: expected files that end in "
            f"{' '.join(sorted(image.READABLE))}{hint}"
        )
    return found


def _without_made(images: list[Path], result: Plan) -> list[Path]:
    """Without what is named as the enlargement, by any target, of another one in the folder."""
    stems = {path.stem for path in images}
    made = [path for path in images if unlabelled(path.stem) in stems]
    result.made += made
    return [path for path in images if path not in set(made)]
