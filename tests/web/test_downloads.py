"""A zip that is sent while it is made, read by the standard library."""

import io
import tracemalloc
import zipfile

from ccsr.web import downloads


def test_a_zip_holds_the_files(tmp_path):
    contents = {"a.png": b"a" * 3_000_000, "ü/ü.png": b"", "b (2).png": bytes(range(256))}
    pairs = []
    for number, (name, content) in enumerate(contents.items()):
        (tmp_path / str(number)).write_bytes(content)
        pairs.append((tmp_path / str(number), name))
    with zipfile.ZipFile(io.BytesIO(b"".join(downloads.stream(pairs)))) as found:
        assert found.testzip() is None
        assert {name: found.read(name) for name in found.namelist()} == contents


def test_a_zip_is_never_held(tmp_path):
    large = tmp_path / "large"
    with large.open("wb") as file:
        file.truncate(20 << 20)
    tracemalloc.start()
    sent = sum(map(len, downloads.stream([(large, "a"), (large, "b")])))
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert sent > 40 << 20
    assert most < 8 << 20
