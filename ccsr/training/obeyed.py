"""Settings that a run would not obey: they are refused before it begins."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple, cast

from omegaconf import DictConfig, ListConfig, OmegaConf

from ccsr.bundled import resource_dir
from ccsr.training.overrides import key_hint, keys
from ccsr.training.scales import Scales


class Rule(NamedTuple):
    """Settings of which another one decides whether they are looked at.

    Attributes:
        settings: their dotted names.
        decides: the name of that other one.
        heard: whether they are looked at with its value.
        instead: what to give.
    """

    settings: tuple[str, ...]
    decides: str
    heard: Callable[[Any], bool]
    instead: str


_OURS = {
    "model": "ccsr.model.build",
    "module": "ccsr.training.task.SRModule",
    "data": "ccsr.training.data.PhotoData",
}
_DEGRADED = (
    "kernels", "blur", "sigmas", "noise", "levels", "jpeg", "webp", "avif", "quality", "halved",
    "twice", "told",
)  # fmt: skip
_RULES = (
    Rule(
        ("module.decay",), "module.schedule", lambda each: each == "trapezoid",
        "give module.schedule=trapezoid",
    ),
    Rule(
        ("module.milestones", "module.gamma"), "module.schedule", lambda each: each == "steps",
        "give module.schedule=steps",
    ),
    Rule(
        ("module.momentum",), "module.optimizer", lambda each: each == "muon",
        "the first of module.betas is that of Adam",
    ),
    Rule(
        ("data.scales.min", "data.scales.max", "data.scales.denominator"), "data.scales.values",
        lambda each: each is None, "give data.scales.values=null for a range",
    ),
    Rule(
        ("data.scales.pairs",), "data.scales.anisotropic", bool,
        "give data.scales.anisotropic, the share of batches that take one",
    ),
    Rule(
        ("data.device_mb",), "data.place", lambda each: each != "memory",
        "give data.place=auto or device",
    ),
    Rule(
        ("data.cache", "data.cache_mb", "data.workers"), "data.place",
        lambda each: each != "device", "give data.place=auto or memory",
    ),
    Rule(
        tuple(f"data.degradation.{name}" for name in _DEGRADED), "data.degradation.clean",
        lambda each: each != 1, "give data.degradation.clean below 1, the share of patches left as "
        "they are",
    ),
    Rule(
        ("data.subfolder", "data.val.subfolder"), "data.root", lambda each: each is not None,
        "give data.root=FOLDER",
    ),
    Rule(
        ("data.degradation.sigmas",), "data.degradation.blur", bool,
        "give data.degradation.blur, the share of patches that are blurred",
    ),
    Rule(
        ("data.degradation.levels",), "data.degradation.noise", bool,
        "give data.degradation.noise, the share of patches that get some",
    ),
    Rule(
        ("data.degradation.quality", "data.degradation.halved", "data.degradation.twice"),
        "data.degradation",
        lambda each: not isinstance(each, Mapping)
        or any(each.get(name) for name in ("jpeg", "webp", "avif")),
        "give data.degradation.jpeg, webp or avif, the shares of patches that are compressed",
    ),
    Rule(
        ("data.degradation.told",), "data.degradation.jpeg", bool,
        "give data.degradation.jpeg, the share of patches that become one",
    ),
    Rule(
        ("data.degradation.told",), "model.encoder.conditioned", bool,
        "give model.encoder.conditioned=true, a network that can be told",
    ),
    Rule(
        ("data.val.subfolder",), "data.val.root", lambda each: each is None,
        "give data.val.root=null for a folder within data.root",
    ),
)  # fmt: skip


def check_obeyed(cfg: DictConfig) -> None:
    """See that every group or setting at the top is one, or that another refers to it.

    Raises:
        ValueError: if nothing would ever look at it.
    """
    known = {str(each) for each in OmegaConf.load(resource_dir("conf") / "train.yaml")}
    known |= {"model", "data", "module", "trainer", "logger"}
    text = OmegaConf.to_yaml(cfg)
    for name in map(str, cfg):
        if name not in known and f"${{{name}" not in text:
            others = [key for key in keys(cfg) if key != name]
            raise ValueError(
                f"there is no setting {name!r}, and none refers to it{key_hint(name, others)}"
            )


def check_roots(cfg: DictConfig) -> None:
    """See that folders that are looked for within data.root have one to be in.

    Raises:
        ValueError: if several are given.
    """
    root, data = OmegaConf.select(cfg, "data.root"), OmegaConf.to_container(cfg)
    if isinstance(root, ListConfig) and "${data.root}/" in str(data):
        raise ValueError(
            "this choice of data finds its other folders within data.root and takes one, got "
            f"{list(root)}: give one, or data=folder data.root=[A,B] and data.val.root=FOLDER"
        )


def check_heard(cfg: DictConfig | ListConfig, arguments: Sequence[str]) -> None:
    """See that a run looks at every setting that a person typed.

    What a preset says beside what it decides is no fault: only `arguments` are looked at.

    Args:
        cfg: the configuration that they are part of.
        arguments: `key=value` each, as Hydra takes them.

    Raises:
        ValueError: if another setting makes one of them meaningless.
    """
    typed = {argument.partition("=")[0].lstrip("+") for argument in arguments}
    if typed & {"data.scales.anisotropic", "data.scales.pairs"}:
        _check_pairs(cfg)
    for rule in _RULES:
        group = rule.decides.partition(".")[0]
        decides = OmegaConf.select(cfg, rule.decides)
        if OmegaConf.select(cfg, f"{group}._target_") != _OURS[group] or rule.heard(decides):
            continue
        for name in rule.settings:
            value = OmegaConf.select(cfg, name)
            if name in typed and value is not None:
                raise ValueError(
                    f"{name}={value} has no meaning beside {rule.decides}={decides}: leave it out, "
                    f"or {rule.instead}"
                )


def _check_pairs(cfg: DictConfig | ListConfig) -> None:
    """See that a share of batches of two scales finds such pairs.

    Raises:
        ValueError: if there is none.
    """
    scales = OmegaConf.select(cfg, "data.scales")
    if OmegaConf.select(cfg, "data._target_") != _OURS["data"] or not isinstance(
        scales, DictConfig
    ):
        return
    wanted, listed = scales.get("anisotropic"), OmegaConf.to_container(scales, resolve=True)
    if wanted and not Scales(**cast(dict[str, Any], listed)).anisotropic:
        raise ValueError(
            f"data.scales.anisotropic={wanted} and data.scales.pairs={scales.get('pairs')} have no "
            "meaning where no two scales differ: give data.scales.pairs, or more than one of "
            "data.scales.values"
        )
