from pathlib import Path

import pytest
import torch
from PIL import Image
from torch import Tensor

from benchmarks import __main__, front, liif, report
from benchmarks.others import Fixed
from ccsr.analysis.scoring import Bicubic
from ccsr.model import build, checkpoint
from ccsr.model.checkpoint import shipped


def doubled(x: Tensor) -> Tensor:
    return x.repeat_interleave(2, 1).repeat_interleave(2, 2)


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    folder = tmp_path / "photos"
    folder.mkdir()
    for number in range(2):
        noise = Image.effect_noise((40, 32), 40).resize((48, 40)).convert("RGB")
        noise.save(folder / f"{number}.png")
    return folder


def point(name: str, seconds: float, psnr: float, scale: float = 2.0) -> front.Found:
    kind = front.OURS if name == "light" else front.FIXED
    return {"name": name, "kind": kind, "scale": scale, "psnr": psnr, "seconds": seconds}


def test_better_is_both_faster_and_better() -> None:
    points = [
        point("fast", 1, 30), point("light", 2, 33), point("slow", 3, 32), point("slower", 4, 33),
        point("elsewhere", 1, 99, scale=4.0),
    ]  # fmt: skip
    assert [front.better(each, points) for each in points] == [[], [], ["light"], [], []]


@pytest.mark.long
def test_all_take_part_but_those_of_other_factors(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    entries = [
        front.Contender("bicubic", front.FIXED, Bicubic()),
        front.Contender("lanczos", front.FIXED, front.Lanczos()),
        front.Contender("doubled", front.OTHERS, Fixed(2, doubled), 2),
    ]
    monkeypatch.setattr(front, "contenders", lambda models, folder, say: entries)
    monkeypatch.setattr(report, "FOLDER", tmp_path)
    said: list[str] = []
    monkeypatch.setattr("sys.stderr.write", said.append)
    assert __main__.main(["front", "--data", str(photos), "--rounds", "1"]) == 0
    assert any("x2 done: 3 methods on 2 images" in line for line in said)
    assert any("x4 done: 2 methods on 2 images" in line for line in said)
    text = (tmp_path / "RESULTS.md").read_text()
    assert '`make bench ARGS="front --data photos --rounds 1"`' in text  # and no path
    assert str(tmp_path) not in text
    rows = [line for line in text.splitlines() if line.startswith(("| 2 |", "| 4 |"))]
    assert sorted(row.split(" | ")[1] for row in rows) == [
        "bicubic", "bicubic", "doubled", "lanczos", "lanczos",
    ]  # fmt: skip
    assert (tmp_path / "front.png").stat().st_size > 10_000
    assert "before the weights of today" not in text


def test_weights_that_are_others_by_now_are_named() -> None:
    found = {"images": 1, "data": "a", "rounds": 1, "points": [], "weights": front.weights()}
    found["weights"]["light"] = "0" * 64
    assert front.section(found)[-1] == "Measured before the weights of today: `light`."


@pytest.mark.parametrize("official", [False, True])
def test_what_takes_part(official: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(liif, "load", lambda: (Bicubic(), official))
    torch.manual_seed(0)
    encoder = {"name": "plain", "channels": 4, "blocks": 1}
    head = {"name": "ccsr.peers.thera:Thera", "waves": 4}
    path = tmp_path / "mine.safetensors"
    checkpoint.save(path, build(encoder, head, {"name": "identity"}), {})
    said: list[str] = []
    found = {each.name: each for each in front.contenders([str(path)], None, said.append)}
    assert [each.startswith("left out LIIF") for each in said] == [] if official else [True]
    assert ("LIIF" in found) == official
    assert found["mine"].kind == front.HEADS
    efforts = {name for name in found if name.startswith("elastic at ")}
    assert len(efforts) == 5
    assert {*shipped()} - {"elastic"} <= found.keys()
    for name in front.ALSO:
        assert found[f"{name}+flips"].enlarger.flips  # type: ignore[attr-defined]
    assert all(each.factor is None for each in found.values())
