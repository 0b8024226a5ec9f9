"""Networks from plain descriptions, as configurations and checkpoints hold them."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from torch import nn

from ccsr.model.decoder import DECODERS
from ccsr.model.encoder import ENCODERS, RENAMED, Encoder
from ccsr.model.fields import FIELDS
from ccsr.model.network import CCSR
from ccsr.model.registry import advertised, check_trusted, construct
from ccsr.model.stack import STACKS, Stack
from ccsr.model.whole import Network

BASES = ("bicubic", "none")  # what the decoder's result is added to
_OWN: Mapping[str, Collection[str]] = {  # names of each kind that no package can take
    "encoder": {*ENCODERS, *RENAMED},
    "stack": STACKS,
    "field": FIELDS,
    "decoder": DECODERS,
    "network": (),
}


def build(
    encoder: Mapping[str, Any] | None = None,
    stack: Mapping[str, Any] | None = None,
    decoder: Mapping[str, Any] | None = None,
    cleans: bool = False,
    base: str = "bicubic",
    *,
    network: Mapping[str, Any] | None = None,
    trust: Collection[str] = (),
) -> Network:
    """Build a network from plain descriptions `{name: ..., **arguments}`.

    A new network of our own parts equals bicubic, its base: its last layer starts at zero.

    Args:
        encoder: with `stack` and `decoder`, the parts of a :class:`CCSR`.
        stack: see `encoder`.
        decoder: see `encoder`.
        cleans: see :class:`CCSR`.
        base: see :class:`CCSR`.
        network: instead of these, a whole network of another package: its name is an import path,
            `package.module:Class`, of a :class:`ccsr.model.whole.Network`.
        trust: the packages, but ours, whose classes the descriptions may name.

    Raises:
        ValueError: for an unknown name or argument; names what is near. For a package that is not
            trusted, before anything of it is imported.
    """
    given = {"encoder": encoder, "stack": stack, "decoder": decoder, "network": network}
    architecture = with_paths(
        {part: _plain(value) for part, value in given.items() if value is not None}
    )
    if architecture.keys() not in ({"encoder", "stack", "decoder"}, {"network"}):
        got = ", ".join(architecture) or "nothing"
        raise ValueError(f"expected encoder, stack and decoder, or network alone, got {got}")
    wanted: Any = cleans
    if not isinstance(wanted, bool) or (wanted and network is not None):
        raise ValueError(f"cleans must be true or false, and false beside network, got {wanted!r}")
    if base not in BASES or (base != BASES[0] and network is not None):
        known = " or ".join(BASES)
        raise ValueError(f"base must be {known}, and {BASES[0]} beside network, got {base!r}")
    check_trusted(architecture, trust)
    made = _whole(architecture) if network is not None else _parts(architecture, cleans, base)
    made.architecture = (
        architecture
        | ({"cleans": True} if cleans else {})
        | ({"base": base} if base != BASES[0] else {})
    )
    return made


def with_paths(description: Mapping[str, Any]) -> dict[str, Any]:
    """Copy a description, with import paths instead of the names that other packages advertise."""
    parts = {part: description.get(part) for part in _OWN}
    return {
        **description,
        **{
            part: _named(part, value) for part, value in parts.items() if isinstance(value, Mapping)
        },
    }


def _named(kind: str, part: Mapping[str, Any]) -> dict[str, Any]:
    """Copy one part, see :func:`with_paths`; a part may have a field."""
    changed = {"name": advertised(kind, part["name"], _OWN[kind])} if "name" in part else {}
    if isinstance(part.get("field"), Mapping):
        changed["field"] = _named("field", part["field"])
    return {**part, **changed}


def _whole(architecture: Mapping[str, Any]) -> Network:
    made = construct("network", Network, {}, architecture["network"])
    _check_attributes("network", made)
    return made


def _parts(architecture: dict[str, Any], cleans: bool, base: str) -> CCSR:
    named = architecture["encoder"]
    named["name"] = RENAMED.get(str(named.get("name")), named.get("name"))
    first = construct("encoder", Encoder, ENCODERS, named)
    _check_attributes("encoder", first)
    middle = construct("stack", Stack, STACKS, architecture["stack"], in_channels=first.channels)
    last = construct(
        "decoder", nn.Module, DECODERS, architecture["decoder"], in_channels=middle.out_channels
    )
    return CCSR(first, middle, last, cleans, base)


def _check_attributes(kind: str, made: Any) -> None:
    """Refuse a part without the numbers on which tiles depend."""
    for name, least in (("channels", 1), ("radius", 0)):
        value = getattr(made, name, None)
        if type(value) is bool or not isinstance(value, int) or value < least:
            raise ValueError(
                f"{kind} {type(made).__name__} must have a whole number of at least {least} as its "
                f"attribute {name!r}, got {value!r}"
            )


def _plain(config: Mapping[str, Any]) -> dict[str, Any]:
    """Copy nested mappings and lists, Hydra's too, as plain ones."""
    given: Any = config
    if not isinstance(given, Mapping):
        raise ValueError(
            f"expected a mapping {{name: ...}} as a part of the network, got {given!r}"
        )
    return {key: _plain_value(value) for key, value in given.items()}


def _plain_value(value: Any) -> Any:
    if isinstance(value, Mapping):
        return _plain(value)
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [_plain_value(each) for each in value]
    return value
