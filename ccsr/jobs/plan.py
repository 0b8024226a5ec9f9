"""Decides what `ccsr upscale` reads and writes, before any work."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path

from ccsr import image
from ccsr.choices import Exists
from ccsr.jobs.checks import Job, check, header, identity
from ccsr.jobs.naming import Naming
from ccsr.jobs.shards import Shard
from ccsr.jobs.target import Target


@dataclass
class Plan:
    """What a run is going to do.

    Attributes:
        jobs: in the order in which they are done.
        skipped: the jobs that are not done, since their outputs exist.
        made: pictures left out, since they are enlargements of others beside them.
        unlisted: folders that cannot be read, and pictures that cannot be named since their size
            cannot be read; each with a sentence that says why.
        shard: the part of a larger set that this is, or None.
        others: how many pictures belong to the other shards.
    """

    jobs: list[Job] = field(default_factory=list)
    skipped: list[Job] = field(default_factory=list)
    made: list[Path] = field(default_factory=list)
    unlisted: dict[Path, str] = field(default_factory=dict)
    shard: Shard | None = None
    others: int = 0

    @property
    def total(self) -> int:
        """How many pictures (and folders that cannot be read) it is about."""
        return len(self.jobs) + len(self.skipped) + len(self.unlisted)

    @property
    def notes(self) -> list[str]:
        """What a person should know before the work begins."""
        notes = []
        if self.made:
            notes.append(
                f"left out {len(self.made)} of the pictures, which are enlargements of others: "
                f"{self.made[0]}{', ...' if len(self.made) > 1 else ''}"
            )
        if self.shard:
            mine = len(self.jobs) + len(self.skipped)
            notes.append(f"shard {self.shard}: {mine} of {mine + self.others} pictures")
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
    saving: image.Output = image.DEFAULT,
    *,
    recursive: bool = False,
    naming: Naming | None = None,
    shard: Shard | None = None,
) -> Plan:
    """Decide what is read and written, and refuse what cannot go well.

    Folders are read in natural order. What is hidden (`.name`), what lies below the output
    folder, and what an earlier run wrote beside its inputs is not taken.

    Args:
        inputs: files, and folders of images.
        output: a file, a folder (one that exists, ends in a separator, or several inputs need),
            or None: beside each input.
        target: the size of the outputs.
        exists: what to do about outputs that exist; `skip` leaves them out.
        saving: how the outputs are written; its format says their suffix.
        recursive: take subfolders too, and make the same ones in the output folder.
        naming: says what the outputs are called; None calls them `NAME_2.37x`.
        shard: take that part of the pictures. All of them are looked at, so what is refused does
            not depend on it, but for outputs that exist.

    Raises:
        ValueError: if a folder holds no image, two inputs have one output, an output is an
            input, exists already (`error`), has a suffix or a name that cannot be written, or
            lies where nothing can be written; or for a naming where `output` is a name.
    """
    single = len(inputs) == 1 and not inputs[0].is_dir()
    folder = _output_folder(output, single)
    if naming and output is not None and folder is None:
        raise ValueError(f"the result is called {output!r} already: leave out --name")
    result = Plan(shard=shard)
    names: dict[Path, str] = {}  # below the input, as shards see them
    jobs: dict[Path, Job] = {}
    for given in inputs:
        for source in _sources(given, folder, recursive, naming or Naming(), result):
            if source in names:
                continue
            below = source.relative_to(given) if source != given else Path(given.name)
            names[source] = below.as_posix()
            if output is not None and folder is None:
                jobs[source] = Job(source, Path(output))
                continue
            beside = source.parent if folder is None else folder / below.parent
            try:
                name = output_name(source, target, saving, naming)
            except (OSError, ValueError) as error:
                result.unlisted[source] = str(error)
            else:
                jobs[source] = Job(source, beside / name)
    check(jobs.values(), saving)
    if shard:
        _keep(shard, names, jobs, result)
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


def output_name(
    source: Path, target: Target, saving: image.Output, naming: Naming | None = None
) -> str:
    """What the enlargement of `source` is called: `photo_2.37x.png`.

    Raises:
        OSError: if the name tells a size and the source cannot be read.
        ValueError: if there is no such size.
    """
    naming = naming or Naming()
    size = header(source).size if naming.measured else None
    return naming.name(source, target, size) + image.suffix_for(saving.format, source.suffix)


def _keep(shard: Shard, names: Mapping[Path, str], jobs: dict[Path, Job], result: Plan) -> None:
    """Leave in a plan what belongs to a shard."""
    held = {path for path, name in names.items() if shard.holds(name)}
    result.others = sum(path not in held for path in jobs)
    for path in set(jobs) - held:
        del jobs[path]
    # each of these is told by one shard too
    result.made = [path for path in result.made if shard.holds(path.name)]
    result.unlisted = {
        path: text
        for path, text in result.unlisted.items()
        if shard.holds(names.get(path, path.name))
    }


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


def _sources(
    folder: Path, output: Path | None, recursive: bool, naming: Naming, result: Plan
) -> list[Path]:
    """List the images of a folder or its tree, or the file itself; note what is left out."""
    if not folder.is_dir():
        return [folder]
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
        kept = (_without_made(list(images), naming, result) for _, images in groups)
        found = [path for images in kept for path in images]
    if folder in result.unlisted:
        raise ValueError(result.unlisted[folder])
    if not found:
        hint = "" if recursive else ", or --recursive for those in its subfolders"
        raise ValueError(
            f"no images in the folder {folder}: expected files that end in "
            f"{' '.join(sorted(image.READABLE))}{hint}"
        )
    return found


def _without_made(images: list[Path], naming: Naming, result: Plan) -> list[Path]:
    """Leave out pictures whose names say that they are enlargements of others in the folder."""
    stems = {path.stem for path in images}
    made = [path for path in images if naming.origin(path.stem) in stems - {path.stem}]
    result.made += made
    return [path for path in images if path not in set(made)]
