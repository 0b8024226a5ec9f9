"""What is measured already is not measured again, and what changed is."""

import math
import re
from dataclasses import replace

import pytest
import torch

from ccsr import image
from ccsr.evaluation import cache as caching
from ccsr.evaluation.cache import Cache, Measured
from ccsr.evaluation.dump import Dump
from ccsr.evaluation.measure import Comparison, measure
from ccsr.evaluation.methods import build
from ccsr.evaluation.pictures import Pictures
from ccsr.evaluation.results import Scores
from ccsr.evaluation.testsets import find
from ccsr.image.degrade import Degrade
from ccsr.model import checkpoint
from ccsr.protocols import PROTOCOLS
from networks import tiny

BENCHMARK = PROTOCOLS["benchmark-y"]
CONTENT = {"method": {"weights": "abc"}, "scale": [2.0, 2.0]}
RESULT = Measured((3, 4), (6, 8), Scores(30.5, 0.9, math.inf, None, 0.25), "d1")


def store(folder):
    def refuse(sentence):
        raise AssertionError(sentence)

    return Cache(folder, refuse)


def test_what_is_put_is_got_and_nothing_else(tmp_path):
    cache = store(tmp_path)
    assert cache.get(CONTENT) is None
    cache.put(CONTENT, RESULT)
    assert cache.get(CONTENT) == RESULT
    assert store(tmp_path).get(CONTENT) == RESULT
    assert cache.get({**CONTENT, "scale": [2.0, 3.0]}) is None
    assert (cache.found, cache.kept) == (1, 1)


@pytest.mark.parametrize("damage", ["", "{", "[]", "{}", "cut", "digit", '{"content": NaN}'])
def test_a_damaged_file_is_one_that_is_not_there(tmp_path, damage):
    cache = store(tmp_path)
    cache.put(CONTENT, RESULT)
    (path,) = tmp_path.glob("??/*.json")
    whole = path.read_text()
    number = re.search(r'"psnr": (\d)', whole)
    changed = {
        "cut": whole[: len(whole) // 2],
        "digit": f"{whole[: number.start(1)]}9{whole[number.end(1) :]}",
    }
    assert changed["digit"] != whole
    path.write_text(changed.get(damage, damage))
    assert cache.get(CONTENT) is None
    cache.put(CONTENT, RESULT)
    assert path.read_text() == whole


def test_a_file_of_another_result_is_not_taken(tmp_path):
    cache = store(tmp_path)
    cache.put(CONTENT, RESULT)
    (path,) = tmp_path.glob("??/*.json")
    path.write_text(path.read_text().replace('"abc"', '"abd"'))
    assert cache.get(CONTENT) is None


def test_other_code_measures_again(tmp_path, monkeypatch):
    cache = store(tmp_path)
    cache.put(CONTENT, RESULT)
    monkeypatch.setattr(caching, "code", lambda: "changed")
    assert cache.get(CONTENT) is None


def test_a_folder_that_cannot_be_written_is_told_once(tmp_path):
    (tmp_path / "cache").write_bytes(b"")
    told = []
    cache = Cache(tmp_path / "cache", told.append)
    cache.put(CONTENT, RESULT)
    cache.put(CONTENT, RESULT)
    assert len(told) == 1
    assert "results are not kept any more: cannot write" in told[0]


def noise(seed):
    generator = torch.Generator().manual_seed(seed)
    return image.to_image(torch.rand(3, 36, 40, generator=generator))


@pytest.fixture
def world(tmp_path):
    """A test set of two pictures, a network, a folder of results and a cache."""
    root = tmp_path / "Small"
    root.mkdir()
    for seed, name in enumerate("ab"):
        image.write(noise(seed), root / f"{name}.png")
    checkpoint.save(tmp_path / "net.safetensors", tiny(), {})
    return tmp_path


def run(world, **more):
    """The records of an evaluation, and how many of them were known."""
    testset, cache = find(world / "Small"), store(world / "cache")
    protocol = more.pop("protocol", BENCHMARK)
    methods = build(["bicubic", str(world / "net.safetensors")], protocol, "cpu", "fp32")
    plan = Comparison(methods, [(2.0, 2.0)], protocol, cache=cache, **more)
    found = measure(plan, [(testset, key) for key in testset.names()])
    assert not found.left_out
    return found.records, cache.found


def test_a_second_run_measures_nothing(world, monkeypatch):
    first, known = run(world)
    assert known == 0
    monkeypatch.setattr(image, "read", None)  # no picture is even decoded
    again, known = run(world)
    assert known == len(again) == 4
    assert again == first


def test_what_changed_is_measured_again_and_only_that(world):
    run(world)
    image.write(noise(2), world / "Small" / "a.png")
    assert run(world)[1] == 2
    assert run(world)[1] == 4
    checkpoint.save(world / "net.safetensors", tiny(0.05), {})
    records, known = run(world)
    assert known == 2
    before = {(r.image, r.model): r.scores.psnr for r in records}
    assert run(world)[1] == 4
    for path in (world / "cache").rglob("*.json"):
        path.unlink()
    fresh = {(r.image, r.model): r.scores.psnr for r in run(world)[0]}
    assert fresh == before


@pytest.mark.parametrize(
    "more",
    [
        {"degrade": Degrade.parse("jpeg:50")},
        {"lpips": lambda one, other: 0.5},
        {"protocol": PROTOCOLS["arbsr-y"]},
        {"protocol": PROTOCOLS["liif-rgb"]},
    ],
)
def test_other_conditions_are_others(world, more):
    run(world)
    assert run(world, **more)[1] == 0
    assert run(world, **more)[1] == 4


def test_a_protocol_of_another_package_is_not_kept(world):
    """Its code is nothing that we could compare."""
    own = replace(BENCHMARK, name="own")
    assert run(world, protocol=own)[1] == 0
    assert run(world, protocol=own)[1] == 0


def test_a_picture_of_another_program_that_changed(world):
    theirs = world / "theirs"
    theirs.mkdir()
    for seed, name in enumerate("ab", 2):
        image.write(noise(seed), theirs / f"{name}.png")

    def again():
        return run(world, pictures=[Pictures("theirs", theirs)])

    first, known = again()
    assert (len(first), known) == (6, 0)
    assert again()[1] == 6
    image.write(noise(4), theirs / "b.png")
    changed, known = again()
    assert known == 5
    assert [r.image for r in changed if r not in first] == ["b.png"]


def test_outputs_that_lie_there_are_not_computed_again(world):
    dump = Dump(world / "dump", ["bicubic", "net"])
    run(world)
    run(world, dump=dump)  # nothing lies there yet
    written = {path: path.stat().st_mtime_ns for path in (world / "dump").rglob("*.png")}
    assert len(written) == 6
    lost, damaged = sorted(written)[-2:]
    lost.unlink()
    image.write(noise(2), damaged)
    torn = damaged.read_bytes()
    run(world, dump=dump)
    assert lost.exists()
    assert damaged.read_bytes() != torn
    kept = [p for p, at in written.items() if "LR" not in p.parts and p not in (lost, damaged)]
    assert [path.stat().st_mtime_ns for path in kept] == [written[path] for path in kept]


def test_what_the_outputs_were_made_from_is_written_again(world):
    dump = Dump(world / "dump", ["bicubic", "net"])
    run(world, dump=dump)
    before = {path: path.read_bytes() for path in (world / "dump").rglob("*.png")}
    given = [path for path in before if "LR" in path.parts]
    assert given
    for path in given:
        path.unlink()
    run(world, dump=dump)
    assert {path: path.read_bytes() for path in (world / "dump").rglob("*.png")} == before
