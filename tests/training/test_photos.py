"""Photos in files."""

import os
import warnings

import pytest
import torch
from PIL import Image

from ccsr.training.cache import SharedCache
from ccsr.training.photos import Photos, find_images, reduced_to
from photos import noise, save


@pytest.fixture
def folder(tmp_path):
    save(noise(20, 30), tmp_path / "a" / "deep" / "one.png")
    save(noise(40, 10), tmp_path / "b" / "TWO.PNG")
    (tmp_path / "b" / "notes.txt").write_text("no image")
    return tmp_path


def test_find_images_searches_several_roots(folder):
    names = [path.name for path in find_images([folder / "a", str(folder / "b")])]
    assert names == ["one.png", "TWO.PNG"]


def test_find_images_takes_the_bundled_photos_by_default():
    assert len(find_images(None)) >= 6


def test_find_images_names_a_missing_root(folder):
    with pytest.raises(FileNotFoundError, match=r"nowhere.*does not exist"):
        find_images(folder / "nowhere")


def test_find_images_names_an_empty_root(folder):
    (folder / "empty").mkdir()
    with pytest.raises(FileNotFoundError, match=r"empty.*got none"):
        find_images(folder / "empty")


def test_hidden_folders_and_pipes_are_left_out(folder):
    save(noise(9, 9), folder / ".thumbnails" / "three.png")
    os.mkfifo(folder / "b" / "pipe.png")
    assert [path.name for path in find_images(folder)] == ["one.png", "TWO.PNG"]


def cut(path):
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def warned(caplog):
    return [r.getMessage() for r in caplog.records if r.levelname == "WARNING"]


def test_a_file_without_a_header_is_named_at_the_start(folder, caplog):
    (folder / "b" / "empty.png").touch()
    before = list(warnings.filters)
    photos = Photos(find_images(folder))
    assert warnings.filters == before
    assert [photo.path.name for photo in photos.photos] == ["one.png", "TWO.PNG"]
    assert "empty.png" in warned(caplog)[0]
    assert warned(caplog)[1] == "1 of 3 pictures left out, unreadable"


def test_a_file_that_breaks_off_is_named_when_it_is_drawn(folder, caplog):
    cut(folder / "b" / "TWO.PNG")
    photos = Photos(find_images(folder), reduced=[0.5])
    assert not warned(caplog)
    assert [photos.get(n) is None for n in range(4)] == [False, False, True, True]
    photos.check()
    photos.check()  # counts again, and has nothing new to tell
    assert len(warned(caplog)) == 2
    assert "TWO.PNG" in warned(caplog)[0]
    assert warned(caplog)[1] == "1 of 2 pictures left out, unreadable"


@pytest.mark.parametrize("count", [100, 250])
def test_one_in_a_hundred_may_be_unreadable_and_no_more(tmp_path, count):
    for n in range(count):
        save(noise(9, 9), tmp_path / f"{n:03}.png")
    files = find_images(tmp_path)
    allowed = count // 100
    for n in range(allowed):
        cut(files[n])
    photos = Photos(files)
    assert sum(photos.get(n) is None for n in range(len(photos))) == allowed
    photos.check()
    cut(files[-1])
    photos = Photos(files)
    for n in range(len(photos)):
        photos.get(n)
    message = rf"{allowed + 1} of {count} pictures cannot be read, .*000\.png, .*{count - 1}\.png$"
    with pytest.raises(ValueError, match=message):
        photos.check()


def test_a_header_that_lies_is_noticed(tmp_path, monkeypatch, caplog):
    save(noise(9, 8), tmp_path / "one.png")
    photos = Photos(find_images(tmp_path))
    save(noise(8, 9), tmp_path / "one.png")
    assert photos.get(0) is None
    assert "its size is not the one its header says" in warned(caplog)[0]


def test_a_photo_that_finds_no_room_is_left_out(folder, monkeypatch, caplog):
    photos = Photos(find_images(folder))
    monkeypatch.setattr("ccsr.device.free_memory", lambda device: 1000)
    assert photos.get(0) is None
    assert "one.png" in warned(caplog)[0]
    assert len(find_images(folder)) - len(photos.broken()) == 1


def test_photos_refuse_a_folder_of_broken_files(tmp_path):
    (tmp_path / "empty.png").touch()
    with pytest.raises(ValueError, match="got 1 files that are not"):
        Photos(find_images(tmp_path))


@pytest.mark.parametrize("cache", [False, True])
@pytest.mark.parametrize(("cache_mb", "kept"), [(10, 4), (0.0024, 2), (0.0018, 1), (0, 0)])
def test_photos_are_the_same_whatever_is_kept(folder, tmp_path, cache, cache_mb, kept):
    place = tmp_path / "cache" if cache else None
    photos = Photos(find_images(folder), cache_mb, place, reduced=[0.5])
    assert photos.sizes == [(20, 30), (10, 15), (40, 10), (20, 5)]
    assert photos.bytes == 3 * (600 + 150 + 400 + 100)
    for _ in range(2):
        assert torch.equal(photos.get(0), noise(20, 30))
        assert torch.equal(photos.get(1), reduced_to(noise(20, 30), (10, 15)))
        assert torch.equal(photos.get(2), noise(40, 10))
        assert torch.equal(photos.get(3), reduced_to(noise(40, 10), (20, 5)))
    assert photos.cache.size <= cache_mb * 1e6
    assert sum(photos.cache.states == 1) == kept


def test_what_is_kept_in_a_folder_is_not_decoded_again(folder, tmp_path, monkeypatch):
    first = Photos(find_images(folder), 1, tmp_path / "cache")
    assert torch.equal(first.get(1), noise(40, 10))
    second = Photos(find_images(folder), 1, tmp_path / "cache")
    monkeypatch.setattr("ccsr.image.read_rgb", None)
    assert torch.equal(second.get(1), noise(40, 10))


def test_a_file_that_changed_is_decoded_again(folder, tmp_path):
    Photos(find_images(folder), 1, tmp_path / "cache").get(1)
    path = folder / "b" / "TWO.PNG"
    save(noise(40, 10, seed=7), path)
    os.utime(path, ns=(1, 1))
    photos = Photos(find_images(folder), 1, tmp_path / "cache")
    assert torch.equal(photos.get(1), noise(40, 10, seed=7))


def test_a_full_disk_is_no_reason_to_stop(folder, tmp_path, monkeypatch, caplog):
    def full(*args):
        raise OSError(28, "No space left on device")

    photos = Photos(find_images(folder), 1, tmp_path / "cache")
    monkeypatch.setattr("os.pwrite", full)
    for _ in range(2):
        assert torch.equal(photos.get(0), noise(20, 30))
    monkeypatch.undo()
    assert torch.equal(photos.get(0), noise(20, 30))
    told = f"photos are no longer kept in {photos.cache.folder}: No space left on device"
    assert warned(caplog) == [told]


def test_forked_processes_share_what_is_kept_and_what_is_broken(folder):
    cut(folder / "b" / "TWO.PNG")
    photos = Photos(find_images(folder))
    child = os.fork()
    if child == 0:
        photos.get(0)
        photos.get(1)
        os._exit(0)
    os.waitpid(child, 0)
    assert photos.cache.states.tolist() == [1, 2]


def test_one_photo_that_is_unreadable_is_too_many(tmp_path):
    save(noise(9, 9), tmp_path / "one.png")
    cut(tmp_path / "one.png")
    photos = Photos(find_images(tmp_path))
    assert photos.get(0) is None
    with pytest.raises(ValueError, match=r"^1 of 1 pictures cannot be read: repair .*one\.png$"):
        photos.check()


def test_several_pictures_in_a_file_and_links_to_nowhere_are_named_at_the_start(folder, caplog):
    pages = [Image.new("RGB", (9, 9), colour) for colour in ("red", "blue")]
    for name in ("a.gif", "a.tif"):
        pages[0].save(folder / name, save_all=True, append_images=pages[1:])
    (folder / "lost.png").symlink_to(folder / "nowhere.png")
    with pytest.raises(ValueError, match="3 of 5 pictures cannot be read"):
        Photos(find_images(folder))
    named = sorted(warned(caplog))
    assert f"{folder / 'a.gif'}: expected a single picture, got 2 frames" in named[0]
    assert f"{folder / 'a.tif'}: expected a single picture, got 2 frames" in named[1]
    assert "lost.png" in named[2]


def kept(files, place, cache_mb=1.0):
    """Photos with a cache in the folder `place`, all of them drawn."""
    photos = Photos(files, cache_mb, place)
    for n in range(len(photos)):
        photos.get(n)
    return photos


def test_a_run_that_keeps_less_takes_nothing_from_another(folder, tmp_path, monkeypatch):
    files = find_images(folder)
    first = kept(files, tmp_path / "cache")
    small = kept(files, tmp_path / "cache", cache_mb=0.0001)
    assert small.kept == 0
    monkeypatch.setattr("ccsr.image.read_rgb", None)
    for photos in (first, small, Photos(files, 1, tmp_path / "cache")):
        assert torch.equal(photos.get(0), noise(20, 30))
        assert torch.equal(photos.get(1), noise(40, 10))


@pytest.mark.parametrize("name", ["pixels", "sums", "states"])
@pytest.mark.parametrize("damage", ["cut", "overwritten", "removed"])
def test_a_damaged_cache_is_made_anew(folder, tmp_path, name, damage):
    files = find_images(folder)
    path = kept(files, tmp_path / "cache").cache.folder / name
    if damage == "removed":
        path.unlink()
    else:
        size = path.stat().st_size
        path.write_bytes(b"" if damage == "cut" else bytes(range(7, 8)) * size)
    for _ in range(2):
        photos = Photos(files, 1, tmp_path / "cache")
        assert torch.equal(photos.get(0), noise(20, 30))
        assert torch.equal(photos.get(1), noise(40, 10))
        assert photos.cache.states.tolist() == [1, 1]


def test_what_could_not_be_read_once_is_tried_again_by_the_next_run(folder, tmp_path, monkeypatch):
    def fail(path):
        raise OSError(f"cannot read {path}: the server is away")

    files = find_images(folder)
    with monkeypatch.context() as away:
        away.setattr("ccsr.image.read_rgb", fail)
        assert Photos(files, 1, tmp_path / "cache").get(1) is None
    assert torch.equal(Photos(files, 1, tmp_path / "cache").get(1), noise(40, 10))


def test_memory_that_is_not_to_be_had_is_said():
    with pytest.raises(OSError, match=r"decoded photos in memory: .*: lower data\.cache_mb"):
        SharedCache(1 << 61, 1, None)


@pytest.mark.parametrize("factor", [0, 1, 1.5])
def test_a_factor_that_does_not_reduce_is_refused(folder, factor):
    with pytest.raises(ValueError, match=rf"data\.reduced must be .* 0 and 1, got {factor}"):
        Photos(find_images(folder), reduced=[factor])


def test_originals_come_in_order_and_once(folder):
    photos = Photos(find_images(folder), reduced=[0.5, 0.25])
    found = list(photos.originals())
    assert [number for number, _ in found] == [0, 3]
    assert torch.equal(found[0][1], noise(20, 30))
    assert torch.equal(found[1][1], noise(40, 10))


def test_grey_and_transparent_photos_become_rgb(tmp_path):
    Image.new("L", (5, 4), 7).save(tmp_path / "grey.png")
    Image.new("RGBA", (5, 4), (1, 2, 3, 255)).save(tmp_path / "rgba.png")
    photos = Photos(find_images(tmp_path))
    assert photos.get(0).unique().tolist() == [7]
    assert photos.get(1)[:, 0, 0].tolist() == [1, 2, 3]


def test_what_is_transparent_is_white_and_not_what_it_hides(tmp_path):
    Image.new("RGBA", (5, 4), (200, 10, 30, 0)).save(tmp_path / "a.png")
    Image.new("LA", (5, 4), (100, 51)).save(tmp_path / "b.png")
    photos = Photos(find_images(tmp_path))
    assert photos.get(0).unique().tolist() == [255]
    assert photos.get(1).unique().tolist() == [round(255 - 0.2 * 155)]


def test_linked_folders_are_searched_once(folder, tmp_path):
    (tmp_path / "set").mkdir()
    (tmp_path / "set" / "link").symlink_to(folder / "a", target_is_directory=True)
    (tmp_path / "set" / "again").symlink_to(folder / "a", target_is_directory=True)
    (folder / "a" / "round").symlink_to(tmp_path / "set", target_is_directory=True)
    save(noise(4, 4), folder / "a" / "zero.png")
    assert [path.name for path in find_images(tmp_path / "set")] == ["one.png", "zero.png"]
