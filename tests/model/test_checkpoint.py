import copy
import json
import os
import struct
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from safetensors.torch import save_file

from ccsr.bundled import resource_dir
from ccsr.grid import ProjectedGrid
from ccsr.model import build, checkpoint
from networks import tiny


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "tiny.safetensors"
    checkpoint.save(path, tiny(), {"licence": "MIT", "steps": 3})
    return path


def header_of(path: Path) -> tuple[dict[str, Any], bytes]:
    content = path.read_bytes()
    (length,) = struct.unpack("<Q", content[:8])
    return json.loads(content[8 : 8 + length]), content[8 + length :]


def rewrite(path: Path, change: Callable[[dict[str, Any]], None]) -> None:
    """Change the header of a checkpoint as someone hostile would."""
    header, data = header_of(path)
    change(header)
    text = json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + data)


def test_load_gives_back_what_was_saved(file: Path) -> None:
    model, summary = checkpoint.load(file)
    original = tiny()
    assert summary == {"licence": "MIT", "steps": 3}
    assert model.architecture == original.architecture
    assert not model.training
    x = torch.rand(1, 3, 5, 4)
    grid = ProjectedGrid.project((5, 4), (11, 9))
    assert torch.equal(model(x, grid), original(x, grid))


def test_half_precision_on_disk_is_float32_in_memory(tmp_path: Path, file: Path) -> None:
    half = tmp_path / "half.safetensors"
    checkpoint.save(half, tiny(), {}, dtype=torch.float16)
    assert half.stat().st_size < file.stat().st_size
    model, _ = checkpoint.load(half)
    for name, weight in model.state_dict().items():
        assert weight.dtype == torch.float32
        assert torch.equal(weight, tiny().state_dict()[name].half().float())


def test_save_refuses_what_it_cannot_keep(tmp_path: Path) -> None:
    path = tmp_path / "out.safetensors"
    with pytest.raises(ValueError, match=r"expected dtype float32 or float16, got torch\.int8"):
        checkpoint.save(path, tiny(), {}, dtype=torch.int8)
    model = tiny()
    with torch.no_grad():
        next(model.parameters()).fill_(1e6)
    with pytest.raises(ValueError, match="are not finite"):
        checkpoint.save(path, model, {}, dtype=torch.float16)
    with pytest.raises(OSError, match="cannot write"):
        checkpoint.save(tmp_path / "missing" / "out.safetensors", tiny(), {})
    assert list(tmp_path.iterdir()) == []


def test_others_may_read_it_as_any_new_file(file: Path) -> None:
    (file.parent / "new").touch()
    assert file.stat().st_mode == (file.parent / "new").stat().st_mode


def test_header_and_digest(file: Path) -> None:
    header = checkpoint.read_header(file)
    assert header.parameters == sum(p.numel() for p in tiny().parameters())
    assert header.summary["licence"] == "MIT"
    (file.parent / "abc").write_bytes(b"abc")
    assert checkpoint.digest(file.parent / "abc").startswith("ba7816bf8f01cfea414140de5dae2223")


def test_a_runs_folder_is_its_model_file(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"holds no model\.safetensors, .* its end: give a"):
        checkpoint.resolve(tmp_path)
    checkpoint.save(tmp_path / "best.safetensors", tiny(), {})
    with pytest.raises(FileNotFoundError, match=r"its end: give \S+/best\.safetensors"):
        checkpoint.resolve(str(tmp_path))
    checkpoint.save(tmp_path / "model.safetensors", tiny(), {})
    assert checkpoint.resolve(tmp_path) == tmp_path / "model.safetensors"


def test_pickles_are_never_opened(tmp_path: Path) -> None:
    torch.save({"a": 1}, tmp_path / "new.ckpt")
    torch.save({"a": 1}, tmp_path / "old.pt", _use_new_zipfile_serialization=False)
    for name in ("new.ckpt", "old.pt"):
        with pytest.raises(ValueError, match=r"looks like a pickle .* \.safetensors file that"):
            checkpoint.load(tmp_path / name)


def test_a_first_byte_like_a_pickles_is_no_pickle(file: Path) -> None:
    def pad(header: dict[str, Any]) -> None:  # until the header's length begins with 0x80
        length = len(json.dumps(header | {"__metadata__": header["__metadata__"] | {"pad": ""}}))
        header["__metadata__"]["pad"] = " " * ((0x80 - length) % 256)

    rewrite(file, pad)
    assert file.read_bytes()[:1] == b"\x80"
    checkpoint.load(file)


def test_other_files_are_refused(tmp_path: Path) -> None:
    (tmp_path / "empty").write_bytes(b"")
    (tmp_path / "text.safetensors").write_text("a text of some length")
    save_file({"a": torch.zeros(1)}, tmp_path / "foreign.safetensors")
    for name in ("empty", "text.safetensors"):
        with pytest.raises(ValueError, match="is not a safetensors file"):
            checkpoint.load(tmp_path / name)
    with pytest.raises(ValueError, match="but not of ccsr"):
        checkpoint.load(tmp_path / "foreign.safetensors")
    with pytest.raises(IsADirectoryError, match="got the folder"):
        checkpoint.load(tmp_path)
    with pytest.raises(FileNotFoundError, match=r"no model file at .*missing"):
        checkpoint.load(tmp_path / "missing")
    os.mkfifo(tmp_path / "pipe.safetensors")
    with pytest.raises(OSError, match=r"is no regular file: expected a \.safetensors file"):
        checkpoint.load(tmp_path / "pipe.safetensors")


@pytest.mark.parametrize("keep", [12, 200, -1])
def test_truncated_files_are_refused(file: Path, keep: int) -> None:
    file.write_bytes(file.read_bytes()[:keep])
    with pytest.raises(ValueError, match="is damaged, truncated or not a safetensors file"):
        checkpoint.load(file)


def test_a_header_longer_than_the_file_is_refused(file: Path) -> None:
    file.write_bytes(struct.pack("<Q", 1 << 40) + file.read_bytes()[8:])
    with pytest.raises(ValueError, match="is damaged"):
        checkpoint.load(file)


def architecture(**changes: object) -> Callable[[dict[str, Any]], None]:
    """Change the encoder's description, and nothing else."""

    def change(header: dict[str, Any]) -> None:
        described = json.loads(header["__metadata__"]["architecture"])
        described["encoder"] |= changes
        header["__metadata__"]["architecture"] = json.dumps(described)

    return change


def metadata(key: str, text: str) -> Callable[[dict[str, Any]], None]:
    return lambda header: header["__metadata__"].__setitem__(key, text)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (metadata("ccsr", "2"), "has the format '2', this ccsr reads 1: upgrade"),
        (metadata("architecture", "{"), "cannot read its architecture"),
        (metadata("architecture", "[" * 100_000), "cannot read its architecture"),
        (metadata("architecture", "[]"), "expected a mapping as architecture, got list"),
        (metadata("summary", " " * (1 << 20) + "{}"), "cannot read its summary: more than"),
        (metadata("architecture", '{"encoder": {}}'), "architecture cannot be built"),
        (
            metadata("architecture", '{"encoder": "os.system", "stack": {}, "decoder": {}}'),
            "architecture cannot be built",
        ),
        (architecture(name="os.system"), "unknown encoder 'os.system'"),
        (architecture(_target_="os.system"), "has no argument '_target_'"),
        (architecture(blocks=10**9), "numbers up to 4096 .* got 1000000000"),
        (architecture(channels=float("nan")), "numbers up to 4096 .* got nan"),
        (architecture(blocks=[1]), r"encoder 'plain' expects int as 'blocks', got \[1\]"),
        (architecture(blocks=[10**9]), "numbers up to 4096 .* got 1000000000"),
        (architecture(channels=4096), "weights do not fit its architecture"),
        (architecture(blocks=2), "weights do not fit its architecture"),
    ],
)
def test_headers_that_lie_are_refused(
    file: Path, change: Callable[[dict[str, Any]], None], message: str
) -> None:
    rewrite(file, change)
    with pytest.raises(ValueError, match=message):
        checkpoint.load(file)


def leaves(node: dict[str, Any]) -> Iterator[tuple[dict[str, Any], str]]:
    """Every mapping in a description, with each of its keys."""
    for key, value in node.items():
        yield node, key
        if isinstance(value, dict):
            yield from leaves(value)


WRONG = [0, -1, 1e-9, 2.5, 97, True, None, "", "fourier", "1", {}, {"name": "fourier"}]


@pytest.mark.parametrize(
    "model",
    [
        "elastic",
        *(pytest.param(m, marks=pytest.mark.long) for m in ("tiny", "gradual", "edsr_baseline")),
    ],
)
def test_every_architecture_that_lies_is_refused_or_works(tmp_path: Path, model: str) -> None:
    """Each value of each description, replaced by wrong ones: a sentence, or a sound network."""
    config = yaml.safe_load((resource_dir("conf") / "model" / f"{model}.yaml").read_text())
    if "defaults" in config:
        light = yaml.safe_load((resource_dir("conf") / "model" / "light.yaml").read_text())
        config = light | {"encoder": config["encoder"]}
    config = {key: config[key] for key in ("encoder", "stack", "decoder")}
    config["encoder"] |= {"channels": 6, "blocks": 1}
    path = tmp_path / "model.safetensors"
    checkpoint.save(path, build(**config), {})
    sound = path.read_bytes()
    x, grid = torch.rand(1, 3, 4, 5), ProjectedGrid.project((4, 5), (7, 10))
    count = refused = 0
    for number in range(len(list(leaves(config)))):
        for wrong in WRONG:
            described = copy.deepcopy(config)
            node, key = list(leaves(described))[number]
            node[key] = wrong
            path.write_bytes(sound)
            rewrite(path, metadata("architecture", json.dumps(described)))
            count += 1
            try:
                network, _ = checkpoint.load(path)
            except ValueError as error:
                assert str(path) in str(error)  # noqa: PT017
                refused += 1
            else:
                assert network.enlarge(x, grid).shape == (1, 3, 7, 10)
    assert count > refused > 0.8 * count


@pytest.mark.parametrize(
    ("part", "changes", "message"),
    [
        ("encoder", {"channels": 0}, "channels must be a whole number of at least 1, got 0"),
        ("encoder", {"blocks": 1.5}, "encoder 'plain' expects int as 'blocks', got 1.5"),
        ("stack", {"threshold": "1"}, "stack 'friendly' expects float as 'threshold', got '1'"),
        ("stack", {"field": 3}, r"stack 'friendly' expects .*Mapping.* as 'field', got 3"),
    ],
)
def test_values_of_another_type_are_named(
    file: Path, part: str, changes: dict[str, Any], message: str
) -> None:
    def change(header: dict[str, Any]) -> None:
        described = json.loads(header["__metadata__"]["architecture"])
        described[part] |= changes
        header["__metadata__"]["architecture"] = json.dumps(described)

    rewrite(file, change)
    with pytest.raises(ValueError, match=message):
        checkpoint.load(file)


def test_weights_of_another_kind_are_refused(file: Path) -> None:
    def integers(header: dict[str, Any]) -> None:
        for name, entry in header.items():
            if name != "__metadata__":
                entry["dtype"] = "I32"

    rewrite(file, integers)
    with pytest.raises(ValueError, match=r"expected floats in .*, got I32"):
        checkpoint.load(file)


def test_weights_that_are_not_finite_are_refused(file: Path) -> None:
    content = bytearray(file.read_bytes())
    content[-4:] = struct.pack("<f", float("nan"))
    file.write_bytes(content)
    with pytest.raises(ValueError, match="are not finite: train again"):
        checkpoint.load(file)


def test_names_and_paths(tmp_path: Path, file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "shipped"
    folder.mkdir()
    monkeypatch.setattr(checkpoint, "resource_dir", lambda name: folder)
    with pytest.raises(ValueError, match="no model called 'light': there is none"):
        checkpoint.resolve("light")
    with pytest.raises(ValueError, match="the model is empty, which would be this folder"):
        checkpoint.resolve("")
    (folder / "light.safetensors").touch()
    (folder / "light.md").touch()
    assert checkpoint.shipped() == {"light": folder / "light.safetensors"}
    assert checkpoint.resolve("light") == folder / "light.safetensors"
    assert checkpoint.resolve(str(file)) == file
    assert checkpoint.resolve(file) == file
    with pytest.raises(ValueError, match=r"no model called 'lihgt': did you mean 'light'\?"):
        checkpoint.resolve("lihgt")
    with pytest.raises(ValueError, match="'xyz': expected one of light; or give a"):
        checkpoint.resolve("xyz")
    with pytest.raises(FileNotFoundError, match=r"no model file at other\.safetensors"):
        checkpoint.resolve("other.safetensors")


def test_no_folder_of_checkpoints_means_none_shipped(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> Path:
        raise FileNotFoundError(name)

    monkeypatch.setattr(checkpoint, "resource_dir", missing)
    assert checkpoint.shipped() == {}


@pytest.mark.parametrize("name", sorted(checkpoint.shipped()))
def test_shipped_models_load(name: str) -> None:
    model, summary = checkpoint.load(checkpoint.resolve(name))
    assert model.architecture
    assert summary


@pytest.mark.long
def test_loading_does_not_wait_for_the_compiler_of_torch() -> None:
    code = (
        "import sys; from ccsr.model import build, checkpoint; "
        "checkpoint.load(checkpoint.resolve('light')); "
        "assert not {'torch._dynamo', 'sympy'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_equal_networks_are_equal_bytes(tmp_path: Path) -> None:
    """Files are pinned by their digest; the library that writes them shuffles what they tell."""
    model = tiny()
    written = set()
    for number in range(8):
        checkpoint.save(tmp_path / f"{number}.safetensors", model, {"a": "ü", "b": 1})
        written.add((tmp_path / f"{number}.safetensors").read_bytes())
    assert len(written) == 1
    assert checkpoint.load(tmp_path / "0.safetensors")[1] == {"a": "ü", "b": 1}
