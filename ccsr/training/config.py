"""The configuration of a run: composed or resumed, checked, and what its parts make."""

import os
import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, cast, get_args

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import InstantiationException
from hydra.utils import instantiate
from omegaconf import DictConfig, ListConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException
from yaml import YAMLError

from ccsr.bundled import resource_dir
from ccsr.model import Network
from ccsr.model.description import with_paths
from ccsr.model.registry import advertised, check_trusted, packages
from ccsr.training.loss import Plain, Relative
from ccsr.training.obeyed import check_heard
from ccsr.training.overrides import key_hint, keys, quoted
from ccsr.training.settings import whole

MOST_SEED = 2**32 - 1
BUILD = "ccsr.model.build"
CHANGEABLE = re.compile(
    r"(trainer(?!\.accumulate_grad_batches$)|logger|callbacks(?!\.average\b)|data\.val)\b"
    r"|data\.(root|subfolder|lr|place|device_mb|cache_mb|cache|workers)$"
    r"|module\.(schedule|decay|milestones|gamma|replay)$|trust$"
)
_SETS = "data.val.sets"  # of which another run may have others
_MOVED = {  # what the configuration of an older run names
    "ccsr.module.": "ccsr.training.task.",
    "ccsr.data.": "ccsr.training.data.",
    "ccsr.pictures.": "ccsr.training.pictures.",
    "ccsr.callbacks.": "ccsr.training.callbacks.",
    "ccsr.training.callbacks.Average": "ccsr.training.average.Average",
    "ccsr.training.callbacks.Checkpoints": "ccsr.training.checkpoints.Checkpoints",
    "ccsr.training.callbacks.Lines": "ccsr.training.display.display",
}


def resumed(folder: Path, arguments: Sequence[str]) -> DictConfig:
    """The configuration of a run, with `key=value` arguments applied.

    Only what leaves the course of the training as it was can be changed: `trainer` but its
    accumulation, `logger`, `callbacks` but the average, `data.val`, where the data lies and how it
    is loaded, and the schedule. (With another schedule, `trainer.max_steps`, `precision` or
    `gradient_clip_val` what is still to come changes.)

    Raises:
        FileNotFoundError: if `folder` holds no run.
        ValueError: for a key that does not exist or cannot change.
    """
    path = folder / "config.yaml"
    if not path.is_file():
        begun = (folder / "train.log").is_file()
        hint = ": it ended before its first step, give its own command again" if begun else ""
        raise FileNotFoundError(
            f"resume expects a run's folder with a config.yaml in it, got {str(folder)!r}{hint}"
        )
    try:
        text = path.read_text(encoding="utf-8")
        for old, new in _MOVED.items():
            text = text.replace(f"_target_: {old}", f"_target_: {new}")
        cfg = OmegaConf.create(text)
    except (ValueError, YAMLError, OmegaConfBaseException) as error:
        reason = " ".join(str(error).split())
        raise ValueError(f"{path} is damaged, it is no YAML any more ({reason})") from error
    if not isinstance(cfg, DictConfig) or "model" not in cfg:
        raise ValueError(f"{path} is damaged, or no configuration of a run: it has no model")
    OmegaConf.update(cfg, "trust", [], force_add=True)  # the folder's own word is no reason
    known = keys(cfg)
    _check_targets(cfg, path, arguments)
    OmegaConf.set_struct(cfg, True)
    for argument in arguments:
        _change(cfg, argument, known)
    check_heard(cfg, arguments)
    named: Any = _with_paths(cast(dict[str, Any], OmegaConf.to_container(cfg)))
    try:
        check_trusted({key: named[key] for key in ("model", "module")}, named["trust"])
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None
    return cfg


def _change(cfg: DictConfig | ListConfig, argument: str, known: Collection[str]) -> None:
    """Apply one argument to the configuration of a run, of which these are the keys.

    Raises:
        ValueError: if it is none that may change, or has another value than it may have.
    """
    key, equals, value = argument.partition("=")
    if not equals:
        raise ValueError(f"expected key=value beside resume=..., got {argument!r}")
    own = key == _SETS or key.startswith(f"{_SETS}.")
    if key not in known and not own:
        raise ValueError(f"the run has no key {key!r}{key_hint(key, list(known))}")
    before = OmegaConf.select(cfg, key)
    if key.endswith("._target_") and before == value:
        return  # named to be trusted
    if not CHANGEABLE.match(key):
        raise ValueError(
            f"{key!r} cannot change when a run is resumed, it would be another run: start a "
            "new one without resume"
        )
    override = OverridesParser.create().parse_override(quoted(argument))
    if override.is_sweep_override():
        raise ValueError(f"a run goes on with one value of {key!r}, got several: {value}")
    after = override.value()
    if key == _SETS and not isinstance(after, dict | None):
        raise ValueError(f"{key} must be null or {{NAME: FOLDER, ...}}, got {value}")
    if isinstance(before, DictConfig) and not own:
        raise ValueError(f"{key!r} cannot be replaced as a whole: give {key}.NAME=...")
    if key == "data.lr" and (before is None) != (after is None):
        raise ValueError(
            "data.lr cannot change between given low-resolution images and none when a run is "
            "resumed, it would be another run: start a new one without resume"
        )
    OmegaConf.update(cfg, key, after, merge=False, force_add=own)


def is_of(folder: Path, cfg: DictConfig) -> bool:
    """Whether a folder holds a run of this configuration, whoever shares the batches of a step."""
    path = folder / "config.yaml"
    if not path.is_file():
        return False
    found, own = OmegaConf.to_container(OmegaConf.load(path)), plain(cfg)
    for config in (found, own):
        if isinstance(config, dict) and isinstance(config.get("trainer"), dict):
            config["trainer"].pop("accumulate_grad_batches", None)
    return found == own


def _check_targets(cfg: Any, path: Path, arguments: Sequence[str]) -> None:
    """Refuse to build what our own configurations do not name, unless the arguments name it.

    A run's folder may come from somebody else, and a `_target_` in it could be any function.
    """
    for key, name in foreign_targets(cfg):
        if f"{key}={name}" not in arguments:
            raise ValueError(
                f"{path} names {name!r}, which no configuration of ccsr does, and to resume would "
                f"run it: if you trust the folder, add {key}={name}"
            )


def foreign_targets(cfg: Any) -> list[tuple[str, str]]:
    """The dotted key and the value of each `_target_` that none of our configurations names."""
    own = {
        name
        for file in resource_dir("conf").rglob("*.yaml")
        for name in re.findall(r"_target_: (\S+)", file.read_text(encoding="utf-8"))
    }
    targets = _targets(OmegaConf.to_container(OmegaConf.create(cfg)))
    return [(key, name) for key, name in targets if name not in own]


def _targets(node: Any, prefix: str = "") -> Iterator[tuple[str, str]]:
    """The dotted key and the value of each `_target_` in mappings and lists."""
    pairs: Iterable[tuple[Any, Any]] = ()
    if isinstance(node, dict | list):
        pairs = node.items() if isinstance(node, dict) else enumerate(node)
    for key, value in pairs:
        if key == "_target_":
            yield f"{prefix}{key}", str(value)
        yield from _targets(value, f"{prefix}{key}.")


def plain(cfg: DictConfig) -> dict[str, Any]:
    """The configuration as plain values: interpolations resolved, paths absolute.

    Raises:
        ValueError: if a part of it is missing, or an empty path would mean this folder.
    """
    config = cast(dict[str, Any], OmegaConf.to_container(cfg, resolve=True, throw_on_missing=True))
    config.pop("hydra", None)
    for name in ("callbacks", "logger"):  # null, or deleted: none
        config[name] = config.get(name) or {}
    for name in ("model", "data", "module", "trainer", "callbacks", "logger"):
        _check_settings(name, config.get(name))
    for name in ("val", "scales"):
        _check_settings(f"data.{name}", config["data"].get(name))
    degradation = config["data"].get("degradation")
    if degradation is not None and not isinstance(degradation, dict):
        raise ValueError(
            f"data.degradation must be a group of settings, got {degradation!r}: choose one by "
            "data/degradation=jpeg"
        )
    config = _with_paths(config)
    config.setdefault("init", None)
    whole("seed", config.get("seed"), least=0, most=MOST_SEED)
    for holder, group, key in _paths(config):
        path = holder.get(key)
        if path == []:
            raise ValueError(f"{group}.{key} is an empty list: give a path")
        if isinstance(path, list):
            holder[key] = [_absolute(f"{group}.{key}", each) for each in path]
        elif path is not None:
            holder[key] = _absolute(f"{group}.{key}", path)
    if config["init"] is not None:
        init = str(config["init"])
        _absolute("init", init)  # refused if it is empty; it may be a name too
        config["init"] = os.path.expanduser(init)  # noqa: PTH111 - Path's raises for some
    return config


def _with_paths(config: dict[str, Any]) -> dict[str, Any]:
    """The settings with import paths instead of names that other packages advertise."""
    model, module = config.get("model"), config.get("module")
    if isinstance(model, dict) and model.get("_target_") == BUILD:
        model = with_paths(model)
    if isinstance(module, dict) and "loss" in module:
        own = get_args(Relative) + get_args(Plain)
        module = {**module, "loss": advertised("loss", module["loss"], own)}
    return {**config, "model": model, "module": module}


def _paths(config: Mapping[str, Any]) -> Iterator[tuple[dict[str, Any], str, str]]:
    """Where paths stand: a mapping, its own dotted name, and the key in it."""
    data = config["data"]
    yield from ((data, "data", key) for key in ("root", "lr", "cache"))
    yield data["val"], "data.val", "root"
    sets = data["val"].get("sets")
    if sets is not None:
        _check_settings("data.val.sets", sets)
        for name, place in sets.items():
            if not re.fullmatch(r"[\w.-]+", str(name)) or place is None:
                raise ValueError(
                    "data.val.sets must give each set a folder, NAME: FOLDER, with a name of "
                    f"letters, digits, '_', '-' and '.', got {name!r}: {place!r}"
                )
            yield sets, "data.val.sets", name


def _check_settings(name: str, value: object) -> None:
    if not isinstance(value, dict):
        got = "it is missing" if value is None else f"got {value!r}"
        raise ValueError(f"{name} must be a group of settings, {got}: see conf/, or leave it alone")


def _absolute(name: str, path: object) -> str:
    """A path that starts where the process was started, with the home folder for `~`."""
    if not path:
        raise ValueError(f"{name} is empty, which would be this folder: give a path, or . for it")
    return str(Path(os.path.expanduser(str(path))).absolute())  # noqa: PTH111


def check_whole(config: Mapping[str, Any], *names: str) -> None:
    """Raise ValueError unless the values of the dotted `names` are positive integers."""
    for name in names:
        group, _, key = name.partition(".")
        whole(name, config[group].get(key))


def made(name: str, config: Any, **arguments: Any) -> Any:
    """What a `_target_` and its arguments make; the constructor's own error if it refuses.

    Args:
        name: of the settings in the configuration, for messages.
        config: the settings.
        **arguments: further ones.

    Raises:
        ValueError: if the target cannot be imported, or the arguments do not fit it.
        OSError: as the constructor raises it.
    """
    _check_settings(name, config)
    if "_target_" not in config:
        raise ValueError(f"{name} has no _target_, so nothing can be made of it: give one")
    try:
        return instantiate(config, _convert_="all", **arguments)
    except InstantiationException as error:
        cause = error.__cause__
        if isinstance(cause, ValueError | OSError):
            raise cause from None
        if isinstance(cause, ImportError):
            raise ValueError(
                f"{name}: {config['_target_']} cannot be imported, or lacks what it needs "
                f"({_last_line(cause)}): install the package, or correct the name"
            ) from error
        raise ValueError(
            f"{name} cannot be made from its settings, by {config['_target_']}: "
            f"{_last_line(cause or error)}"
        ) from error


def trusted(config: Mapping[str, Any]) -> set[str]:
    """List the packages whose classes may be made: `trust`, and those that `model` names.

    Whoever typed the settings meant them; :func:`resumed` asks about those of a folder.
    """
    given = config.get("trust") or ()
    return {*([given] if isinstance(given, str) else given), *packages(config["model"])}


def network_of(config: Any, trust: Collection[str]) -> Network:
    """Make the network that the settings under `model` describe.

    Raises:
        ValueError: if they describe none.
    """
    ours = isinstance(config, Mapping) and config.get("_target_") == BUILD
    network: Network = made("model", {**config, "trust": sorted(trust)} if ours else config)
    return network


def _last_line(error: BaseException) -> str:
    lines = str(error).strip().splitlines()
    return lines[-1] if lines else type(error).__name__
