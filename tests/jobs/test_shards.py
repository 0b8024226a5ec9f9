from collections import Counter
from pathlib import Path

import pytest

from ccsr.jobs.plan import make_plan
from ccsr.jobs.shards import Shard
from ccsr.jobs.target import Target

TWICE = Target(scale=(2.0, 2.0))
NAMES = [f"{folder}/{number:05}.png" for folder in ("a", "b/c") for number in range(5000)]


@pytest.mark.parametrize("total", [1, 2, 3, 8, 10])
def test_shards_are_disjoint_whole_and_of_one_size(total: int) -> None:
    shards = [Shard(number, total) for number in range(1, total + 1)]
    held = Counter(shard for name in NAMES for shard in shards if shard.holds(name))
    assert sum(held.values()) == len(NAMES)
    assert all(any(shard.holds(name) for shard in shards) for name in NAMES)
    mean = len(NAMES) / total
    assert all(abs(held[shard] - mean) <= 0.1 * mean for shard in shards)


def test_the_hash_is_the_same_everywhere_and_for_ever() -> None:
    numbers = [next(n for n in range(1, 9) if Shard(n, 8).holds(name)) for name in NAMES[:8]]
    assert numbers == [1, 5, 8, 5, 2, 7, 5, 3]
    assert Shard(1, 2).holds("e\u0301.png") == Shard(1, 2).holds("\u00e9.png")
    assert Shard(1, 1).holds("latin-\udce9.png")


def test_the_words_of_the_command_line() -> None:
    assert Shard.parse("2/8") == Shard(2, 8)
    assert str(Shard(2, 8)) == "2/8"
    for text in ("0/8", "9/8", "2", "a/b", "-1/2", "1/0", "1/1000001", ""):
        with pytest.raises(ValueError, match="expected a shard such as 2/8"):
            Shard.parse(text)


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    for name in [*(f"a{n}.png" for n in range(12)), *(f"sub/b{n}.jpg" for n in range(12))]:
        (tmp_path / "in" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "in" / name).touch()
    return tmp_path


def test_the_shards_of_a_tree_are_together_the_plan(tree: Path) -> None:
    def plan(shard: Shard | None, root: Path = tree / "in"):
        out = f"{tree / 'out'}/"
        return make_plan([root], out, TWICE, recursive=True, shard=shard)

    whole = plan(None)
    parts = [plan(Shard(number, 3)) for number in (1, 2, 3)]
    jobs = [job for part in parts for job in part.jobs]
    assert sorted(jobs) == sorted(whole.jobs)
    assert len(set(jobs)) == len(jobs) == 24
    assert all(part.others == 24 - len(part.jobs) for part in parts)
    assert parts[1].notes == [f"shard 2/3: {len(parts[1].jobs)} of 24 pictures"]
    elsewhere = tree / "copy"  # on another machine the tree lies in another place
    (tree / "in").rename(elsewhere)
    for part, number in zip(parts, (1, 2, 3), strict=True):
        names = [job.source.relative_to(tree / "in") for job in part.jobs]
        again = plan(Shard(number, 3), elsewhere)
        assert [job.source.relative_to(elsewhere) for job in again.jobs] == names


def test_outputs_of_other_shards_are_no_obstacle(tree: Path) -> None:
    first, second = (
        make_plan([tree / "in"], f"{tree / 'out'}/", TWICE, shard=Shard(number, 2))
        for number in (1, 2)
    )
    for job in first.jobs:
        job.output.parent.mkdir(exist_ok=True)
        job.output.touch()
    assert make_plan([tree / "in"], f"{tree / 'out'}/", TWICE, shard=Shard(2, 2)) == second
    with pytest.raises(ValueError, match="exists already"):
        make_plan([tree / "in"], f"{tree / 'out'}/", TWICE, shard=Shard(1, 2))


def test_collisions_between_shards_are_refused_in_each(tree: Path) -> None:
    for number in range(12):
        (tree / "in" / f"a{number}.jpg").touch()
    for number in (1, 2, 3):
        with pytest.raises(ValueError, match="nothing was done, since 12 outputs are refused"):
            make_plan([tree / "in"], f"{tree / 'out'}/", TWICE, shard=Shard(number, 3))
