"""What a run begins with: maybe another's weights, and a network that can surely be kept."""

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from ccsr.model import Network, checkpoint
from ccsr.model.network import parts_of
from ccsr.training.checkpoints import BEST
from ccsr.training.growth import grow


def start_from(network: Network, name: str, trust: Collection[str] = ()) -> None:
    """Give `network` the function of the model `name` (or file), which may be a smaller one.

    Raises:
        ValueError: if there is no such model, or its weights have no place in the network.
    """
    path = Path(name)
    if name in checkpoint.shipped() or not path.is_dir():  # of a folder one may mean to go on
        path = checkpoint.resolve(name)
    if path.is_dir() or path.suffix == ".ckpt":
        folder = path if path.is_dir() else path.parent
        raise ValueError(
            f"init={name} is not an inference file: give {folder / BEST}, or another "
            f"{checkpoint.SUFFIX}; a run is taken up again by resume={folder}"
        )
    start, _ = checkpoint.load(path, trust)
    try:
        grow(parts_of(start), parts_of(network))
    except ValueError as error:
        raise ValueError(
            f"init={name}: its weights do not fit the network that model=... describes: give a "
            f"network that is at least as large in every part, or train without init ({error})"
        ) from error


def check_kept(
    network: Network, folder: Path, facts: Mapping[str, Any], trust: Collection[str] = ()
) -> None:
    """See before the first step that the network and the facts can be written and read again.

    Raises:
        ValueError: if it cannot.
    """
    path = folder / f".check{checkpoint.SUFFIX}"  # one name, which another start removes
    try:
        checkpoint.save(path, network, facts)
        checkpoint.load(path, trust)
    except (AttributeError, TypeError, ValueError) as error:
        hint = "" if hasattr(network, "architecture") else ": make it by ccsr.model.build"
        raise ValueError(
            "the network that model=... makes could not be read again from its file, so nothing "
            f"would be left of the training: {str(error).removeprefix(f'{path}: ')}{hint}"
        ) from error
    finally:
        path.unlink(missing_ok=True)
