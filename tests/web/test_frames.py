"""One frame or page of a picture, as a picture of its own."""

import threading

import httpx
import numpy as np
import pytest
from PIL import Image

from ccsr import image
from ccsr.web import shelf
from ccsr.web.entry import decoded


def frame_of(client, number, frame):
    return client.post(f"/api/pictures/{number}/frames", json={"frame": frame})


def test_while_pages_are_decoded_others_need_not_wait(client, served, booklet, monkeypatch):
    served.app.shelf.take([booklet])
    begun, go, answers = threading.Event(), threading.Event(), []
    read = image.read

    def slowly(path):
        begun.set()
        assert go.wait(10)
        return read(path)

    monkeypatch.setattr(image, "read", slowly)
    asking = threading.Thread(target=lambda: answers.append(frame_of(client, 1, 2)))
    asking.start()
    assert begun.wait(10)
    with httpx.Client(base_url=served.base, headers=client.headers, timeout=5) as other:
        assert len(other.get("/api/state").json()["pictures"]) == 1
        assert other.delete("/api/pictures/1").status_code == 204
    go.set()
    asking.join(10)
    assert "there is no picture 1 any more" in answers[0].json()["error"]
    assert list(served.folder.iterdir()) == []


def test_a_page_becomes_a_picture(client, served, booklet, pages, wide_profile):
    served.app.shelf.take([booklet])
    for number, values in enumerate(pages, 1):
        told = frame_of(client, 1, number).json()
        assert (told["of"], told["frame"], told["frames"]) == (1, number, 1)
        assert (told["height"], told["width"]) == values.shape[:2]
        assert told["name"] == f"booklet-{number}.tif"
        assert frame_of(client, 1, number).json() == told  # which is not made again
        picture = image.read(served.app.shelf.find(told["id"]).path)
        assert np.array_equal(picture.frames[0], values)
        assert picture.metadata.profile == wide_profile
        assert picture.metadata.dpi == pytest.approx((100 * number, 100 * number))
    listed = client.get("/api/state").json()["pictures"]
    assert [each["id"] for each in listed] == [1]
    assert client.delete("/api/pictures/1").status_code == 204
    assert list(served.folder.iterdir()) == []
    assert booklet.exists()


@pytest.mark.parametrize("frame", [0, -1, 4, 1.5, "2", None])
def test_a_frame_that_is_not_there_is_refused(client, served, booklet, frame):
    served.app.shelf.take([booklet])
    answer = frame_of(client, 1, frame)
    assert answer.status_code == 400
    assert "frame must be" in answer.json()["error"]
    assert "no picture 9" in frame_of(client, 9, 1).json()["error"]


def test_a_disk_that_takes_no_more_is_told_without_a_path(client, served, booklet, monkeypatch):
    served.app.shelf.take([booklet])
    served.folder.rename(served.folder.with_name("away"))
    missing = "No such file or directory"
    sent = client.post("/api/pictures", content=b"1", headers={"X-Name": "cat.png"})
    assert sent.json() == {"error": f"cannot keep cat.png: {missing}"}
    told = {"error": f"cannot write booklet-2.tif: {missing}"}
    assert frame_of(client, 1, 2).json() == told

    def failing(*given):
        raise OSError(28, "No space left on device", str(served.folder))

    monkeypatch.setattr(served.app.shelf, "frame", failing)
    assert frame_of(client, 1, 2).json() == {"error": "No space left on device"}


def test_a_page_that_lacks_memory_is_told_by_its_name(client, served, booklet, monkeypatch):
    served.app.shelf.take([booklet])
    monkeypatch.setattr("ccsr.device.free_memory", lambda device: 100)
    error = frame_of(client, 1, 2).json()["error"]
    assert error.startswith("cannot read booklet.tif: decoding 3 times")


def test_the_only_frame_is_the_picture(client, served, cat):
    served.app.shelf.take([cat])
    assert frame_of(client, 1, 1).json()["id"] == 1
    assert list(served.folder.iterdir()) == []


def test_frames_of_large_pictures_are_not_kept_at_hand(client, served, booklet, monkeypatch):
    served.app.shelf.take([booklet])
    frame_of(client, 1, 1)
    assert served.app.shelf._several
    monkeypatch.setattr(shelf, "AT_HAND", 1000)
    served.app.shelf._several = None
    assert frame_of(client, 1, 2).json()["frame"] == 2
    assert served.app.shelf._several is None


def test_a_page_whose_file_has_changed_is_refused(client, served, booklet):
    served.app.shelf.take([booklet])
    number = frame_of(client, 1, 2).json()["id"]
    served.app.shelf.opened(number)
    booklet.write_bytes(booklet.read_bytes() + b"more")
    with pytest.raises(ValueError, match=r"booklet-2\.tif has changed since it was opened"):
        served.app.shelf.opened(number)


def test_a_page_tells_what_reading_its_file_has_cost(client, served, tmp_path):
    frames = [Image.new("CMYK", (6, 4), (0, 100 * i, 0, 0)) for i in range(2)]
    frames[0].save(tmp_path / "inks.tif", save_all=True, append_images=frames[1:])
    whole = Image.new("L", (6, 4))
    whole.save(tmp_path / "dance.gif", save_all=True, append_images=[Image.new("L", (6, 4), 200)],
               comment=b"hi")  # fmt: skip
    served.app.shelf.take([tmp_path / "inks.tif", tmp_path / "dance.gif"])
    inks, dance = (served.app.shelf.frame(number, 2) for number in (1, 2))
    assert decoded(inks).notes == ("CMYK converted to RGB",)
    assert decoded(dance).dropped == ("comment",)
