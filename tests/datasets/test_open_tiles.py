import csv
import os
import re
import threading
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from ccsr.bundled import resource_dir
from ccsr.datasets import open_tiles
from ccsr.datasets.gather import ROOM, gather, room_needed
from ccsr.datasets.remote import Web

COLUMNS = "name repo commit path sha256 bytes licence stated_in credit factor left top right bottom"


def test_the_list_is_whole():
    listed = open_tiles.tiles()
    assert len({tile.name for tile in listed}) == len(listed) > 2500
    for tile in listed:
        assert re.fullmatch(r"[0-9a-f]{64}", tile.file.sha256)
        assert re.fullmatch(r"[0-9a-f]{40}", tile.file.commit)
        assert tile.licence
        assert tile.stated_in
        assert 0 < tile.factor <= 1
        left, top, right, bottom = tile.box
        assert 0 <= left < right
        assert 0 <= top < bottom


def test_nobody_who_asks_for_more_is_in_the_list():
    # neither non-commercial nor without derivatives
    assert not [tile for tile in open_tiles.tiles() if re.search(r"\b(NC|ND)\b", tile.licence)]


def test_validation_has_pictures_of_its_own():
    listed = open_tiles.tiles()
    aside = [tile for tile in listed if tile.kind]
    assert Counter(tile.kind for tile in aside) == dict.fromkeys(
        ("buildings", "text", "nature", "people"), 10
    )
    assert not {tile.file for tile in aside} & {tile.file for tile in listed if not tile.kind}


@pytest.fixture
def small(tmp_path, monkeypatch, wicked):
    """A list of three tiles of two pictures that a server holds, the last for validation."""
    noise = np.random.default_rng(1).integers(0, 256, (40, 60, 3), dtype=np.uint8)
    pictures = []
    for number, image in enumerate((Image.fromarray(noise), Image.fromarray(255 - noise))):
        image.save(tmp_path / f"{number}.png")
        body = (tmp_path / f"{number}.png").read_bytes()
        wicked.put(f"/o/n/c/{number}.png", body)
        pictures.append(wicked.file(f"x{number}", body))
    rows = [
        ["a", 0, "1", 0, 0, 32, 32],
        ["b", 0, "0.5", 4, 2, 30, 20],
        ["c", 1, "1", 8, 8, 60, 40],
        ["d", 1, "1", 0, 0, 8, 8],  # another tile of the picture that validation uses
    ]
    with (tmp_path / "tiles.csv").open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream)
        writer.writerow(COLUMNS.split())
        for name, number, factor, *box in rows:
            file = pictures[number]
            where = [name, "o/n", "c", f"{number}.png", file.sha256, file.size]
            terms = ["CC BY 4.0", "LICENSE", "Ann, “Noise”"]
            writer.writerow([*where, *terms, factor, *box])
    (tmp_path / "validation.csv").write_text("name,kind\nc,text\n", encoding="utf-8")
    monkeypatch.setattr(open_tiles, "resource_dir", lambda _: tmp_path)
    return noise


def build(folder, server):
    chosen = open_tiles.tiles()
    work = open_tiles.tasks(chosen, folder)
    source = Web(server, pauses=(0.0,))
    failures = gather(work, source, folder, 2, lambda task: None, threading.Event())
    open_tiles.write_attribution(chosen, folder)
    return work, failures


def test_tiles_are_cut_as_the_list_says(small, tmp_path, wicked):
    folder = tmp_path / "built"
    work, failures = build(folder, wicked.url)
    assert (len(work), failures) == (2, [])
    assert sorted(path.name for path in folder.rglob("*.webp")) == ["a.webp", "b.webp", "c.webp"]
    with Image.open(folder / "train/a.webp") as tile:
        np.testing.assert_array_equal(tile, small[:32, :32])
    with Image.open(folder / "val/text/c.webp") as tile:
        np.testing.assert_array_equal(tile, 255 - small[8:40, 8:60])
    with Image.open(folder / "train/b.webp") as tile:
        reduced = Image.fromarray(small).resize((30, 20), Image.Resampling.BICUBIC)
        np.testing.assert_array_equal(tile, np.asarray(reduced)[2:20, 4:30])
    assert not (folder / ROOM).exists()


def test_whom_to_credit(small, tmp_path, wicked):
    build(tmp_path / "built", wicked.url)
    with (tmp_path / "built/ATTRIBUTION.csv").open(newline="", encoding="utf-8") as stream:
        rows = {row["file"]: row for row in csv.DictReader(stream)}
    assert set(rows) == {"train/a.webp", "train/b.webp", "val/text/c.webp"}
    row = rows["train/b.webp"]
    assert (row["licence"], row["credit"]) == ("CC BY 4.0", "Ann, “Noise”")
    assert row["changes"] == "reduced to 0.5, cut to (4, 2, 30, 20)"
    assert row["picture"].endswith("/o/n/c/0.png")


def test_what_is_on_its_way_of_other_files_stays(small, tmp_path, wicked):
    folder = tmp_path / "built"
    (folder / ROOM).mkdir(parents=True)
    (folder / ROOM / "another").write_text("3 GB of an archive")
    assert build(folder, wicked.url)[1] == []
    assert [path.name for path in (folder / ROOM).iterdir()] == ["another"]


def test_what_a_killed_run_left_is_removed(small, tmp_path, wicked):
    folder = tmp_path / "built"
    (folder / "train").mkdir(parents=True)
    (folder / "train/.ccsr-0123456789ab.part").write_text("half a tile")
    assert build(folder, wicked.url)[1] == []
    assert sorted(path.name for path in (folder / "train").iterdir()) == ["a.webp", "b.webp"]


def test_a_folder_is_built_by_one_process_at_a_time(small, tmp_path, wicked):
    fcntl = pytest.importorskip("fcntl")
    folder = tmp_path / "built"
    folder.mkdir()
    number = os.open(folder, os.O_RDONLY)  # another process
    fcntl.flock(number, fcntl.LOCK_EX)
    with pytest.raises(OSError, match=f"another process is building {folder}: wait until it has"):
        build(folder, wicked.url)
    os.close(number)
    assert build(folder, wicked.url)[1] == []


def test_room_that_is_needed_is_less_what_has_come(small, tmp_path):
    folder = tmp_path / "built"
    work = open_tiles.tasks(open_tiles.tiles(), folder)
    sizes = [task.file.size for task in work]
    assert room_needed(work, folder) == sum(sizes)
    (folder / ROOM).mkdir(parents=True)
    (folder / ROOM / work[0].file.sha256).write_bytes(bytes(1000))
    assert room_needed(work, folder) == sum(sizes) - 1000
    assert room_needed([replace(work[1], made=7)], folder) == sizes[1] + 7


def test_what_is_there_is_not_fetched_again(small, tmp_path, wicked):
    folder = tmp_path / "built"
    build(folder, wicked.url)
    (folder / "train/b.webp").unlink()
    before = wicked.asked.copy()
    work, _ = build(folder, wicked.url)
    assert [task.file.path for task in work] == ["0.png"]
    assert wicked.asked - before == {"/o/n/c/0.png": 1}
    assert (folder / "train/b.webp").exists()


def test_what_fails_is_named_and_the_rest_is_built(small, tmp_path, wicked):
    folder = tmp_path / "built"
    wicked.ways["/o/n/c/0.png"] = ("404",)
    _, failures = build(folder, wicked.url)
    assert failures == [f"{wicked.url}/o/n/c/0.png: the server answers 404 Not Found"]
    assert [path.name for path in folder.rglob("*.webp")] == ["c.webp"]


def test_pictures_that_are_none_or_too_small(tmp_path, wicked):
    def task(body, box=(0, 0, 8, 8)):
        file = wicked.file("p.png", body)
        tile = open_tiles.Tile("t", file, "CC0", "LICENSE", "", 1.0, box)
        return open_tiles.tasks([tile], tmp_path / "built")

    Image.new("RGB", (6, 6)).save(tmp_path / "small.png")
    whole = (tmp_path / "small.png").read_bytes()
    said = []
    for body in (b"no picture", whole, whole[:44]):
        said += gather(
            task(body), Web(), tmp_path / "built", 1, lambda task: None, threading.Event()
        )
    assert said == [
        "p.png is in no format that this Pillow reads",
        "p.png is too small for the tile (0, 0, 8, 8): 6x6",
        said[2],
    ]
    assert said[2].startswith("p.png cannot be read by this Pillow: ")
    assert not [*(tmp_path / "built").rglob("*.webp")]


def test_a_disk_that_cannot_be_written_ends_the_work(small, tmp_path, wicked):
    folder = tmp_path / "built"
    folder.mkdir()
    (folder / "train").write_text("a file where the folder should be")
    with pytest.raises(OSError, match="cannot write"):
        build(folder, wicked.url)


def test_kinds_of_validation_are_listed_tiles():
    with (resource_dir("open") / "tiles.csv").open(newline="", encoding="utf-8") as stream:
        names = {row["name"] for row in csv.DictReader(stream)}
    with (resource_dir("open") / "validation.csv").open(newline="", encoding="utf-8") as stream:
        assert {row["name"] for row in csv.DictReader(stream)} <= names
