"""Overrides of the training configuration: what a person typed, handed to Hydra or explained."""

import os
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.errors import ConfigCompositionException, HydraException
from omegaconf import DictConfig
from omegaconf.errors import MissingMandatoryValue, OmegaConfBaseException

from ccsr.bundled import resource_dir
from ccsr.suggest import close, did_you_mean

_PATH = re.compile(
    r"(resume|init|\+{0,2}(?:(?:\w+\.)*(?:root|lr|cache|dir|subfolder)|data\.val\.sets\.[\w.-]+))"
    r"=(.+)",
    re.DOTALL,
)
_SWEEP = re.compile(r"(choice|glob|sort|shuffle)\(.*\)", re.DOTALL)
_NO_ROOM = re.compile("DefaultCPUAllocator: can't allocate|(CUDA|MPS).* out of memory")
_NOISE = re.compile(r"\s*\^+\s*|See https://hydra\S* .*|\s*object_type=.*|Set the environment .*")


def for_hydra(arguments: Sequence[str]) -> list[str]:
    """The arguments in a form that Hydra takes.

    Whatever characters the paths among them have, and wherever among them `--multirun` stands.
    """
    sweeps = [a for a in arguments if a in ("-m", "--multirun")]
    return [*sweeps, *(quoted(a, bool(sweeps)) for a in arguments if a not in sweeps)]


def quoted(argument: str, sweeps: bool = False) -> str:
    """`key=path` with the path in quotes, or each of a list `[a,b]`.

    In a sweep `key=a,b` has each of its paths in quotes, unless there is one of that name.
    Interpolations and what is quoted already are left alone. A `~` becomes the home folder.
    """
    match = _PATH.fullmatch(argument)
    if not match or "${" in match[2]:
        return argument
    key, value = match[1], match[2]
    if sweeps and _SWEEP.fullmatch(value):
        return argument
    parts = list(_split(value)) if sweeps and not Path(value).exists() else [value]
    return f"{key}={','.join(map(_quoted, parts))}"


def _split(value: str) -> Iterator[str]:
    """The parts between the commas that stand neither in quotes nor in brackets."""
    pattern = r"""((?:'[^']*'|"[^"]*"|\[[^\]]*\]|[^,'"\[]|['"\[])+)"""
    yield from (part.strip() for part in re.findall(pattern, value))


def _quoted(path: str) -> str:
    if path == "null" or path[:1] in ("'", '"'):
        return path
    if path[:1] == "[" and path[-1] == "]":
        return f"[{','.join(map(_quoted, _split(path[1:-1])))}]"
    path = os.path.expanduser(path)  # noqa: PTH111 - Path's own raises for an unknown user
    value = re.sub(r"(\\*)'", r"\1\1\\'", path)
    trailing = re.search(r"\\*$", value)
    return f"'{value}{trailing[0] if trailing else ''}'"


def keys(cfg: object, prefix: str = "") -> list[str]:
    """Every dotted key of a configuration."""
    found: list[str] = []
    if isinstance(cfg, DictConfig):
        for name in map(str, cfg):
            found += [f"{prefix}{name}", *keys(cfg._get_node(name), f"{prefix}{name}.")]
    return found


def key_hint(key: str, known: Sequence[str]) -> str:
    """``; did you mean 'a' or 'b'?``, by spelling or by the last part; nothing if none is near."""
    found = close(key, known)
    last = key.rpartition(".")[2]
    found += [k for k in known if k.rpartition(".")[2] == last and k not in found][:2]
    return f"; {did_you_mean(found)}" if found else ""


def explain(error: Exception, arguments: Sequence[str]) -> str:
    """One line for an error, with near names where Hydra refuses `arguments`, and its advice."""
    text = str(error)
    if isinstance(error, MemoryError) or _NO_ROOM.search(text):
        return (
            "there is not enough memory: lower data.batch_size or data.patch, or take a smaller "
            f"network ({text.partition(chr(10))[0]})"
        )
    if isinstance(error, FileExistsError | NotADirectoryError) and error.filename:
        return f"expected a folder, or the name of a new one, got {error.filename}, a file"
    if match := re.match(r"Error merging override (\w+)=", text):
        return f"{match[1]} is a group of settings: give {match[1]}.NAME=..., or leave it out"
    if "group override must be a string" in text:
        return _wrong_choice(arguments) or text.partition("\n")[0]
    if not isinstance(error, HydraException | OmegaConfBaseException):
        return text
    if isinstance(error, MissingMandatoryValue):
        return f"{error.full_key} has no value: give {error.full_key}=..."
    if match := re.search(r"Could not override '([^']+)'", text):
        hint = key_hint(match[1], _composed_keys(arguments)) or ";"
        advice = re.search(r"use (\+\S+=.*)", text)
        added = f"{hint} to add a new key: {advice[1]}" if advice else hint.rstrip(";")
        return f"there is no key {match[1]!r}{added}"
    if match := re.search(r"Could not find '([^']+)/([^'/]+)'", text):
        group, choice = match[1], match[2]
        choices = sorted(path.stem for path in (resource_dir("conf") / group).glob("*.yaml"))
        hint = key_hint(choice, choices)
        return f"{group} has no choice {choice!r}{hint or ':'} choices: {', '.join(choices)}"
    text = text.replace("\\'", "'")
    lines = [line.strip() for line in text.splitlines() if not _NOISE.fullmatch(line)]
    return "; ".join(filter(None, lines)) or type(error).__name__


def _wrong_choice(arguments: Sequence[str]) -> str:
    """A sentence for the first of the arguments that gives a group no name; else nothing."""
    conf = resource_dir("conf")
    for argument in arguments:
        group, equals, choice = argument.lstrip("+").partition("=")
        names = sorted(path.stem for path in (conf / group).glob("*.yaml")) if equals else []
        if names and choice not in names and not re.fullmatch(r"(?!null$)[a-z][\w/-]*", choice):
            return f"{group} must be one of {', '.join(names)}, got {choice}"
    return ""


def _composed_keys(arguments: Sequence[str]) -> list[str]:
    """The keys that exist with the group choices among `arguments`, and the groups."""
    conf = resource_dir("conf")
    groups = sorted(path.name for path in conf.iterdir() if path.is_dir())
    chosen = [a for a in arguments if a.partition("=")[0] in groups and "," not in a]
    GlobalHydra.instance().clear()
    with initialize_config_dir(str(conf), version_base="1.3"):
        try:
            cfg = compose("train", overrides=chosen)
        except (ConfigCompositionException, OmegaConfBaseException):
            cfg = compose("train")
    return [*groups, *keys(cfg)]
