"""*Enlarge* by the server: orders, links to what came of them, and what is refused."""

import io
import threading
import time
import zipfile

import pytest
from PIL import Image

from ccsr import image
from ccsr.grid import choose_grid
from ccsr.web import downloads
from ccsr.web.enlarging import Enlargement
from ccsr.web.entry import Limits
from orders import download, finished, order, state


def test_several_pictures_come_in_one_zip_and_a_bad_one_is_named(client, served, cat, tmp_path):
    folder = tmp_path / "more"
    folder.mkdir()
    (folder / "cat.png").write_bytes(cat.read_bytes())
    (folder / "half.png").write_bytes(cat.read_bytes()[:20_000])
    served.app.shelf.take([cat, folder])
    number = order(client).json()["id"]
    found = finished(client, number)
    assert [item["state"] for item in found["items"]] == ["done", "done", "failed"]
    assert found["items"][2]["text"].startswith("cannot read half.png: ")
    assert "image file is truncated" in found["items"][2]["text"]
    answer = download(client, number)
    assert answer.headers["content-disposition"] == 'attachment; filename="ccsr_2.37x.zip"'
    with zipfile.ZipFile(io.BytesIO(answer.content)) as archive:
        assert archive.namelist() == ["cat_2.37x.png", "cat_2.37x (2).png"]
        first, second = map(archive.read, archive.namelist())
    assert first == second == download(client, number, item=1).content
    for item, status in ((2, 400), (3, 400), (-1, 400), ("0", 400)):
        asked = client.post("/api/tickets", json={"enlargement": number, "item": item})
        link = asked.json().get("url", "/api/nothing")
        assert status in (asked.status_code, client.get(link).status_code)


def test_a_picture_that_can_not_be_had_so_large_is_named_and_the_others_are_done(
    client, served, cat, tmp_path
):
    Image.new("RGB", (1, 300_000)).save(tmp_path / "line.png")
    served.app.shelf.take([tmp_path / "line.png", cat])
    wide = {"text": "width 2000"}
    alone = order(client, target=wide, pictures=[1])
    assert alone.status_code == 400
    assert "at most 1,000,000 million pixels" in alone.json()["error"]
    items = finished(client, order(client, target=wide).json()["id"])["items"]
    assert [item["state"] for item in items] == ["failed", "done"]
    assert items[0]["name"] == "line.png"
    assert items[0]["text"] == alone.json()["error"]


@pytest.mark.parametrize("number", [[], {}, [1], "1", True, 1.0, None, 7])
def test_what_is_no_enlargement_has_no_link(client, served, cat, number):
    served.app.shelf.take([cat])
    finished(client, order(client).json()["id"])
    answer = client.post("/api/tickets", json={"enlargement": number, "item": 0})
    assert answer.status_code == 400
    assert "no such enlargement" in answer.json()["error"]


def test_a_zip_comes_whole_though_its_files_are_removed_meanwhile(client, served, cat, tmp_path):
    (tmp_path / "b.png").write_bytes(cat.read_bytes())
    served.app.shelf.take([cat, tmp_path / "b.png"])
    number = order(client).json()["id"]
    finished(client, number)
    links = [
        client.post("/api/tickets", json={"enlargement": number} | fields).json()["url"]
        for fields in ({}, {}, {"item": 0})
    ]
    enlargement = served.app.enlargements[number]
    content = downloads._held(enlargement, [(each.output, each.name) for each in enlargement.done])
    start = next(content)
    assert client.delete(f"/api/enlargements/{number}").status_code == 204
    done = threading.Event()
    served.app.worker.later(done.set)  # after the removal
    assert done.wait(10)
    with zipfile.ZipFile(io.BytesIO(start + b"".join(content))) as archive:
        assert archive.testzip() is None
        assert len(archive.namelist()) == 2
    assert not enlargement.folder.exists()
    for link in links:
        answer = client.get(link)
        assert answer.status_code == 400
        assert "removed" in answer.json()["error"]
        assert str(served.folder) not in answer.text


def test_a_look_at_a_link_does_not_use_it_up(client, served, cat):
    served.app.shelf.take([cat])
    number = order(client).json()["id"]
    finished(client, number)
    url = client.post("/api/tickets", json={"enlargement": number, "item": 0}).json()["url"]
    looked = client.head(url)
    assert (looked.status_code, looked.headers["allow"]) == (405, "GET")
    assert client.get(url).status_code == 200


def test_a_link_works_once_and_for_a_while(client, served, cat, monkeypatch):
    served.app.shelf.take([cat])
    number = order(client).json()["id"]
    finished(client, number)
    url = client.post("/api/tickets", json={"enlargement": number, "item": 0}).json()["url"]
    assert client.get(url).status_code == 200
    again = client.get(url)
    assert again.status_code == 404
    assert "for one download" in again.json()["error"]
    monkeypatch.setattr(downloads, "SECONDS", -1.0)
    url = client.post("/api/tickets", json={"enlargement": number, "item": 0}).json()["url"]
    assert client.get(url).status_code == 404


def test_what_runs_can_be_cancelled_within_a_piece(client, served, cat, monkeypatch):
    """The run is held at its first piece until it is cancelled."""
    held, go, pieces = threading.Event(), threading.Event(), []
    run = Enlargement.run

    def slowly(self, breathe):
        def hold():
            pieces.append(1)
            held.set()
            assert go.wait(10)
            breathe()

        run(self, hold)

    monkeypatch.setattr(Enlargement, "run", slowly)
    served.app.shelf.take([cat])
    first = order(client, target={"scale": [20, 20]}).json()["id"]
    second = order(client).json()["id"]
    assert held.wait(10)
    assert state(client, first)["items"][0]["state"] == "running"
    for number in (first, second):
        assert client.post(f"/api/enlargements/{number}").status_code == 204
    assert state(client, second)["items"][0]["state"] == "cancelled"
    go.set()
    assert finished(client, first)["items"][0]["state"] == "cancelled"
    third = order(client).json()["id"]
    assert finished(client, third)["items"][0]["state"] == "done"
    assert len(pieces) < 8
    assert not list(served.folder.glob("results-1/*"))


def test_a_removed_enlargement_leaves_nothing(client, served, cat):
    served.app.shelf.take([cat])
    number = order(client).json()["id"]
    finished(client, number)
    assert list(served.folder.glob("results-*/*"))
    assert client.delete(f"/api/enlargements/{number}").status_code == 204
    assert client.get("/api/state").json()["enlargements"] == []
    until = time.monotonic() + 10
    while list(served.folder.glob("results-*")) and time.monotonic() < until:
        time.sleep(0.02)
    assert not list(served.folder.glob("results-*"))
    assert client.delete(f"/api/enlargements/{number}").status_code == 400


def test_an_order_that_makes_no_sense_is_refused(client, served, cat):
    served.app.shelf.take([cat])
    for fields, sentence in (
        ({"pictures": []}, "there is no picture to enlarge"),
        ({"pictures": [99]}, "there is no picture 99 any more"),
        ({"model": "../light"}, "model must be one of tiny.safetensors"),
        ({"model": "bicubic"}, "model must be one of"),
        ({"output": {"format": "jpg", "lossless": True}}, "always loses something"),
        ({"target": {"scale": [0, 0]}}, "scale must be two factors"),
        *(({"pictures": [no]}, "there is no picture") for no in ([], {}, [1], True, 1.0, None)),
    ):
        answer = order(client, **fields)
        assert answer.status_code == 400
        assert sentence in answer.json()["error"]
        assert str(served.folder) not in answer.json()["error"]
    assert client.get("/api/state").json()["enlargements"] == []


@pytest.mark.parametrize("limits", [Limits(jobs=1)])
def test_more_orders_than_the_limit_are_refused(client, served, cat, limits, monkeypatch):
    monkeypatch.setattr(Enlargement, "run", lambda self, breathe: None)  # it stays as it is
    served.app.shelf.take([cat])
    assert [order(client).status_code for _ in range(2)] == [200, 413]


def test_a_result_that_does_not_fit_is_refused_with_a_sentence(client, served, cat):
    served.app.shelf.take([cat])
    assert "million pixels" in order(client, target={"text": "width 2000000000"}).json()["error"]
    number = order(client, target={"text": "width 200000"}).json()["id"]
    (item,) = finished(client, number)["items"]
    assert item["state"] == "failed"
    assert "cat.png" in item["text"]
    assert "GiB" in item["text"]
    assert str(served.folder) not in item["text"]


@pytest.mark.parametrize("frame", [1, 3])
def test_one_page_is_enlarged_by_itself(client, served, booklet, pages, frame, tmp_path):
    served.app.shelf.take([booklet])
    number = order(client, frame=frame, output={"format": "same"}).json()["id"]
    (item,) = finished(client, number)["items"]
    assert (item["state"], item["name"]) == ("done", f"booklet-{frame}_2.37x.tif")
    (tmp_path / "got.tif").write_bytes(download(client, number, item=0).content)
    (got,) = image.read(tmp_path / "got.tif").frames
    values = pages[frame - 1]
    assert got.dtype == values.dtype
    assert got.shape == (*choose_grid(values.shape[:2], 2.37).size, values.shape[2])


def test_a_later_frame_is_judged_by_the_quality_of_its_file(client, served, tmp_path):
    """Flat frames show no traces themselves; the view shows what the download will be."""
    frames = [Image.new("RGB", (24, 16), colour) for colour in ("red", "lime", "blue")]
    path = tmp_path / "dance.webp"
    frames[0].save(path, save_all=True, append_images=frames[1:], duration=70, quality=50)
    served.app.shelf.take([path])
    number = order(client, frame=2, model="auto").json()["id"]
    (item,) = finished(client, number)["items"]
    assert "by photo: WebP of quality" in item["text"]
    frame = served.app.shelf.frame(1, 2)
    served.app.views._at_hand(frame.number, "auto", served.app.shelf.opened(frame.number))
    assert (frame.number, "photo") in served.app.views._kept


def test_a_picture_that_changed_on_disk_is_not_enlarged_unseen(client, served, cat):
    served.app.shelf.take([cat])
    Image.new("RGB", (20, 10)).save(cat)
    (item,) = finished(client, order(client).json()["id"])["items"]
    assert item["state"] == "failed"
    assert item["text"].startswith("cannot enlarge cat.png: cat.png has changed since it was")


def test_what_is_lost_is_said(client, tmp_path, cat):
    with Image.open(cat) as picture:
        picture.convert("RGB").save(tmp_path / "a.jpg", comment=b"hello")
    content = (tmp_path / "a.jpg").read_bytes()
    client.post("/api/pictures", content=content, headers={"X-Name": "a.jpg"})
    (item,) = finished(client, order(client).json()["id"])["items"]
    assert item["text"].endswith(" MB; dropped: comment")
