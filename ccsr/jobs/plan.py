"""Decides what `ccsr upscale` reads and writes, before any work."""

import os
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import PurePath
from typing import Any, NamedTuple

from ccsr import image
from ccsr.choices import Exists
from ccsr.device import NoRoomError
from ccsr.jobs.checks import Job, check, header
from ccsr.jobs.naming import Naming
from ccsr.jobs.places import Place, place
from ccsr.jobs.shards import Shard
from ccsr.jobs.stores import Listing, store_of
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
        replaced: the jobs whose outputs exist, and are made anew.
        shard: the part of a larger set that this is, or None.
        others: how many pictures belong to the other shards.
    """

    jobs: list[Job] = field(default_factory=list)
    skipped: list[Job] = field(default_factory=list)
    made: list[Place] = field(default_factory=list)
    unlisted: dict[Place, str] = field(default_factory=dict)
    replaced: set[Job] = field(default_factory=set)
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
    inputs: Sequence[Place],
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
    single = len(inputs) == 1 and not store_of(inputs[0]).is_folder(inputs[0])
    folder = _output_folder(output, single)
    if naming and output is not None and folder is None:
        raise ValueError(f"the result is called {output!r} already: leave out --name")
    outputs = _Outputs(output, folder, target, saving, naming or Naming())
    result = Plan(shard=shard)
    listings = [] if folder is None else [_listing(folder, recursive)]  # of where results go
    names: dict[Place, str] = {}  # below the input, as shards see them
    jobs: dict[Place, Job] = {}
    for given in inputs:
        found = [given]
        if store_of(given).is_folder(given):
            listing = _listing(given, recursive)
            listings += [listing] if output is None else []
            found = _images(given, listing, folder, naming or Naming(), result)
        for source in found:
            if source in jobs or source in result.unlisted:
                continue
            below = _below(source, given)
            if shard:
                names[source] = below.as_posix()
            try:
                jobs[source] = Job(source, outputs.of(source, below))
            except (OSError, ValueError, NoRoomError) as error:
                result.unlisted[source] = str(error)
    check(jobs.values(), saving)
    if shard:
        _keep(shard, names, jobs, result)
    present = {job: None for job in jobs.values() if _exists(job.output, listings)}
    if present and exists == "error":
        first = next(iter(present)).output
        raise ValueError(
            f"{first} exists already ({len(present)} of {len(jobs)} outputs do): "
            "use --exists skip or --exists overwrite"
        )
    left_out = present if exists == "skip" else {}
    result.skipped = list(left_out)
    result.replaced = set(present).difference(left_out)
    result.jobs = [job for job in jobs.values() if job not in left_out]
    return result


class _Outputs(NamedTuple):
    """Says where results go.

    Attributes:
        output: as it was given.
        folder: that it means, or None.
        target: the size of the outputs.
        saving: how they are written.
        naming: what they are called.
    """

    output: str | None
    folder: Place | None
    target: Target
    saving: image.Output
    naming: Naming

    def of(self, source: Place, below: PurePath) -> Place:
        """Where the result of `source` goes, which lies at `below` from the input.

        Raises:
            OSError, ValueError: see `output_name`.
        """
        if self.output is not None and self.folder is None:
            return place(self.output)
        beside = source.parent if self.folder is None else self.folder / below.parent
        return beside / output_name(source, self.target, self.saving, self.naming)


def output_name(
    source: Place, target: Target, saving: image.Output, naming: Naming | None = None
) -> str:
    """What the enlargement of `source` is called: `photo_2.37x.png`.

    Raises:
        OSError: if the name tells a size and the source cannot be read.
        ValueError: if there is no such size.
    """
    naming = naming or Naming()
    size = header(source).size if naming.measured else None
    return naming.name(source, target, size) + image.suffix_for(saving.format, source.suffix)


def _keep(shard: Shard, names: Mapping[Place, str], jobs: dict[Place, Job], result: Plan) -> None:
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


def _below(source: Place, given: Place) -> PurePath:
    """The path of a picture from the folder that was given; of a given file its name."""
    return source.relative_to(str(given)) if source != given else PurePath(given.name)


def _listing(folder: Place, recursive: bool) -> Listing[Any]:
    return store_of(folder).listing(folder, recursive=recursive)


def _exists(output: Place, listings: Iterable[Listing[Any]]) -> bool:
    """Whether there is a file at `output`; of those in a listed folder the listing tells."""
    told = (listing.knows(output) for listing in listings)
    known = next((answer for answer in told if answer is not None), None)
    return store_of(output).exists(output) if known is None else known


def _output_folder(output: str | None, single: bool) -> Place | None:
    """The folder that `output` means; None if it means a file, or nothing was given."""
    if output is None:
        return None
    path = place(output)
    store = store_of(path)
    separators = tuple(filter(None, (os.sep, os.altsep)))
    if store.is_folder(path) or output.endswith(separators):
        return path
    if single:
        if not path.suffix:
            raise ValueError(
                f"cannot tell the format of {output!r}: end it with a suffix such as .png, or "
                f"with {os.sep} for a folder"
            )
        return None
    if path.suffix or store.exists(path):
        raise ValueError(
            f"several pictures need a folder as -o, got {output!r}: end it with {os.sep}"
        )
    return path


def _images(
    folder: Place, listing: Listing[Any], output: Place | None, naming: Naming, result: Plan
) -> list[Place]:
    """List the images of a folder or its tree; note what is left out."""
    found: list[Place] = list(listing.images(output, result.unlisted.__setitem__))
    if output is None or _identity(folder) == _identity(output):
        groups = groupby(found, lambda path: path.parent)
        kept = (_without_made(list(images), naming, result) for _, images in groups)
        found = [path for images in kept for path in images]
    if folder in result.unlisted:
        raise ValueError(result.unlisted[folder])
    if not found:
        hint = "" if listing.recursive else ", or --recursive for those in its subfolders"
        raise ValueError(
            f"no images in the folder {folder}: expected files that end in "
            f"{' '.join(sorted(image.READABLE))}{hint}"
        )
    return found


def _identity(folder: Place) -> Hashable:
    return store_of(folder).identity(folder)


def _without_made(images: list[Place], naming: Naming, result: Plan) -> list[Place]:
    """Leave out pictures whose names say that they are enlargements of others in the folder."""
    stems = {path.stem for path in images}
    origins = ((path, naming.origin(path.stem)) for path in images)
    made = {
        path: None
        for path, stem in origins
        if stem in stems and stem != path.stem and _has_told_size(path, naming)
    }
    result.made += made
    return [path for path in images if path not in made]


def _has_told_size(path: Place, naming: Naming) -> bool:
    """Whether a picture has the size, if any, that its name tells."""
    if not naming.measured:
        return True
    try:
        return naming.is_size(path.stem, header(path).size)
    except (OSError, ValueError, NoRoomError):
        return False  # as a picture of its own, for which that is said
