"""The folders that `ccsr train` leaves, as models: the jobs of a sweep, by what differs in them."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, cast

from ccsr.image.folders import natural
from ccsr.model.checkpoint import CONFIG, FINAL
from ccsr.training.settings import flat

SWEEP = "multirun.yaml"  # what the folder of a sweep holds
MOST_NAMED = 3  # settings that differ, in a name


class Job(NamedTuple):
    """One training of a sweep.

    Attributes:
        name: in tables, `SWEEP/0`.
        kind: the name of all that differ from it by their seeds alone.
        folder: of the run.
    """

    name: str
    kind: str
    folder: Path


def is_sweep(folder: Path) -> bool:
    """Whether `ccsr train --multirun` left this folder."""
    return (folder / SWEEP).is_file()


def jobs(folder: Path, name: str, warn: Callable[[str], None]) -> list[Job]:
    """The jobs of a sweep's folder that came to their end.

    Args:
        folder: of the sweep.
        name: what it is called.
        warn: called with the jobs that have no model.

    Raises:
        ValueError: if none has one.
    """
    places = sorted(folder.iterdir(), key=lambda place: natural(place.name))
    places = [place for place in places if (place / CONFIG).is_file()]
    done = [place for place in places if (place / FINAL).is_file()]
    if not done:
        raise ValueError(
            f"{folder} is the folder of a sweep, and none of its {len(places)} jobs has a {FINAL} "
            "yet, which each writes at its end"
        )
    if len(done) < len(places):
        missing = ", ".join(place.name for place in places if place not in done)
        warn(
            f"{folder}: jobs without a {FINAL}, which each writes at its end, count not: {missing}"
        )
    settings = [_settings(place / CONFIG) for place in done]
    kinds = _kinds(name, settings, [place.name for place in done])
    return [
        Job(f"{kind}/{place.name}", kind, place) for place, kind in zip(done, kinds, strict=True)
    ]


def _kinds(name: str, settings: Sequence[Mapping[str, Any]], numbers: Sequence[str]) -> list[str]:
    """For each job a name of its settings: of those that differ, or where many do of its first."""
    known = dict.fromkeys(key for each in settings for key in each)
    differ = [key for key in known if len({repr(each.get(key)) for each in settings}) > 1]
    if not differ:
        return [name] * len(settings)
    last = [key.rpartition(".")[2] for key in differ]
    words = [a if last.count(a) == 1 else b for a, b in zip(last, differ, strict=True)]
    kinds: dict[tuple[str, ...], str] = {}
    found = []
    for each, number in zip(settings, numbers, strict=True):
        values = tuple(str(each.get(key)) for key in differ)
        told = ", ".join(f"{word}={value}" for word, value in zip(words, values, strict=True))
        few = len(differ) <= MOST_NAMED
        found.append(kinds.setdefault(values, f"{name}[{told if few else number}]"))
    return found


def _settings(path: Path) -> dict[str, Any]:
    """The settings of a run under their dotted names, but the seeds."""
    from omegaconf import OmegaConf  # of the extra `train`, which made the folder

    return {
        key: value
        for key, value in flat(cast(Any, OmegaConf.to_container(OmegaConf.load(path)))).items()
        if key.rpartition(".")[2] != "seed"
    }
