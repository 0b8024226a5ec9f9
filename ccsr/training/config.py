"""Overrides of the training configuration: what a person typed, understood or refused kindly."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import reduce
from operator import getitem
from pathlib import Path
from typing import Any, cast

from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import ConfigCompositionException, HydraException, InstantiationException
from hydra.utils import instantiate
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import MissingMandatoryValue, OmegaConfBaseException

from ccsr.bundled import resource_dir
from ccsr.suggest import close, did_you_mean

CHANGEABLE = re.compile(
    r"(trainer(?!\.accumulate_grad_batches$)|logger|callbacks(?!\.average\b)|data\.val)\b"
    r"|data\.(root|subfolder|lr|place|device_mb|cache_mb|cache|workers)$"
    r"|module\.(schedule|decay|milestones|gamma|replay)$"
)
_MOVED = {  # modules that the configuration of an older run names
    "ccsr.module": "ccsr.training.task",
    "ccsr.data": "ccsr.training.data",
    "ccsr.callbacks": "ccsr.training.callbacks",
    "ccsr.pictures": "ccsr.training.pictures",
}
_PATH_KEYS = re.compile(r"(resume|init|(\w+\.)*(?:root|lr|cache))=(?!\[)(.+)", re.DOTALL)


def quoted(argument: str) -> str:
    """`key=path` in a form that Hydra takes whatever characters the path has."""
    match = _PATH_KEYS.fullmatch(argument)
    if not match or match[3][0] in "'\"" or match[3] == "null" or "${" in match[3]:
        return argument
    value = re.sub(r"(\\*)'", r"\1\1\\'", match[3])
    trailing = re.search(r"\\*$", value)
    return f"{match[1]}='{value}{trailing[0] if trailing else ''}'"


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
        raise FileNotFoundError(
            f"resume expects a run's folder with a config.yaml in it, got {str(folder)!r}"
        )
    text = path.read_text(encoding="utf-8")
    for old, new in _MOVED.items():
        text = text.replace(f"_target_: {old}.", f"_target_: {new}.")
    cfg = OmegaConf.create(text)
    known = keys(cfg)
    _check_targets(cfg, path, arguments)
    OmegaConf.set_struct(cfg, True)
    parser = OverridesParser.create()
    for argument in arguments:
        key, equals, value = argument.partition("=")
        if not equals:
            raise ValueError(f"expected key=value beside resume=..., got {argument!r}")
        if key not in known:
            raise ValueError(f"the run has no key {key!r}{key_hint(key, known)}")
        if key.endswith("._target_") and OmegaConf.select(cfg, key) == value:
            continue  # named to be trusted
        if not CHANGEABLE.match(key):
            raise ValueError(
                f"{key!r} cannot change when a run is resumed, it would be another run: start a "
                "new one without resume"
            )
        if isinstance(OmegaConf.select(cfg, key), DictConfig):
            raise ValueError(f"{key!r} cannot be replaced as a whole: give {key}.NAME=...")
        OmegaConf.update(cfg, key, parser.parse_override(quoted(argument)).value())
    return cfg if isinstance(cfg, DictConfig) else DictConfig({})


def _check_targets(cfg: Any, path: Path, arguments: Sequence[str]) -> None:
    """Refuse to build what our own configurations do not name, unless the arguments name it.

    A run's folder may come from somebody else, and a `_target_` in it could be any function.
    """
    configurations = resource_dir("conf").rglob("*.yaml")
    own = {
        name
        for file in configurations
        for name in re.findall(r"_target_: (\S+)", file.read_text(encoding="utf-8"))
    }
    for key, name in _targets(OmegaConf.to_container(cfg)):
        if name not in own and f"{key}={name}" not in arguments:
            raise ValueError(
                f"{path} names {name!r}, which no configuration of ccsr does, and to resume would "
                f"run it: if you trust the folder, add {key}={name}"
            )


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
    """The configuration as plain values: interpolations resolved, data roots absolute."""
    config = cast(dict[str, Any], OmegaConf.to_container(cfg, resolve=True, throw_on_missing=True))
    config.pop("hydra", None)
    data = config["data"]
    places = [(data, "data", "root"), (data, "data", "lr"), (data, "data", "cache")]
    for holder, group, key in (*places, (data["val"], "data.val", "root")):
        path = holder.get(key)
        if isinstance(path, list):
            holder[key] = [_absolute(f"{group}.{key}", each) for each in path]
        elif path is not None:
            holder[key] = _absolute(f"{group}.{key}", path)
    if config["init"] is not None:
        _absolute("init", config["init"])
    return config


def _absolute(name: str, path: object) -> str:
    if not path:
        raise ValueError(f"{name} is empty, which would be this folder: give a path, or . for it")
    return str(Path(str(path)).absolute())


def check_whole(config: Mapping[str, Any], *names: str) -> None:
    """Raise ValueError unless the values of the dotted `names` are positive integers."""
    for name in names:
        value = reduce(getitem, name.split("."), config)
        if not isinstance(value, int) or value < 1:
            raise ValueError(f"{name} must be a positive integer, got {value!r}")


def made(config: Any, **arguments: Any) -> Any:
    """What a `_target_` and its arguments make; the constructor's own error if it refuses.

    Raises:
        ValueError: if the arguments do not fit the constructor.
    """
    try:
        return instantiate(config, **arguments)
    except InstantiationException as error:
        cause = error.__cause__
        if isinstance(cause, ValueError | OSError):
            raise cause from None
        raise ValueError(f"{config['_target_']}: {cause or error}") from error


def keys(cfg: Any, prefix: str = "") -> list[str]:
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
    """One sentence for an error, with near names where Hydra refuses `arguments`."""
    text = str(error)
    if not isinstance(error, HydraException | OmegaConfBaseException):
        return text
    if isinstance(error, MissingMandatoryValue):
        return f"{error.full_key} has no value: give {error.full_key}=..."
    if match := re.search(r"Could not override '([^']+)'", text):
        return f"there is no key {match[1]!r}{key_hint(match[1], _composed_keys(arguments))}"
    if match := re.search(r"Could not find '([^']+)/([^'/]+)'", text):
        group, choice = match[1], match[2]
        choices = sorted(path.stem for path in (resource_dir("conf") / group).glob("*.yaml"))
        hint = key_hint(choice, choices)
        return f"{group} has no choice {choice!r}{hint or ':'} choices: {', '.join(choices)}"
    return text.strip().splitlines()[0] if text.strip() else type(error).__name__


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
