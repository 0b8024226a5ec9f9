import hashlib
import subprocess
import threading
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import numpy as np
import pytest

from ccsr.datasets.answers import UnavailableError
from ccsr.datasets.remote import Mirror, RemoteFile, StoppedError, Web
from small_disk import files_of_at_most

QUICK = (0.0, 0.0)
BODY = np.random.default_rng(0).bytes(1 << 18)


def fetch(file, folder, **options):
    return Web(pauses=QUICK, **options).fetch(file, folder)


@pytest.mark.parametrize(
    "ways",
    [
        ("well",),
        ("503", "429", "well"),
        ("breaks", "breaks", "well"),
        ("breaks", "no ranges", "well"),
        ("breaks", "416", "well"),
        ("says more", "well"),
        ("says less", "says less", "well"),
        ("another", "well"),
        ("breaks", "another", "well"),
        ("endless", "well"),
        ("416", "well"),
        ("breaks", "other range", "well"),
        ("520", "well"),
        ("403", "well"),  # with the header Retry-After
        ("says more",),
        ("packed",),
        ("packed breaks", "packed", "packed"),
    ],
    ids=" ".join,
)
def test_what_arrives_at_last_is_the_file(wicked, tmp_path, ways):
    file = wicked.file("a.bin", BODY, *ways)
    copy = fetch(file, tmp_path)
    assert copy.read_bytes() == BODY
    assert copy.name == file.sha256


def test_a_transfer_that_broke_off_goes_on_where_it_ended(wicked, tmp_path):
    file = wicked.file("a.bin", BODY, "breaks", "well")
    received = []
    fetch(file, tmp_path, received=received.append)
    assert wicked.ranges == [None, len(BODY) // 2]
    assert sum(received) == len(BODY)


def test_another_run_goes_on_too(wicked, tmp_path):
    file = wicked.file("a.bin", BODY, "breaks", "404", "well")
    with pytest.raises(UnavailableError, match="answers 404"):
        fetch(file, tmp_path)
    assert fetch(file, tmp_path).read_bytes() == BODY
    assert wicked.ranges[-1] == len(BODY) // 2


def test_many_breaks_are_borne_as_long_as_something_arrives(wicked, tmp_path):
    body = BODY * 20
    file = wicked.file("a.bin", body, *["breaks"] * 6, "well")  # halves what is left each time
    assert fetch(file, tmp_path).read_bytes() == body


def test_what_is_thrown_away_again_and_again_is_no_progress(wicked, tmp_path):
    file = wicked.file("a.bin", BODY, *["breaks", "416"] * 4)
    with pytest.raises(UnavailableError, match="3 times in a row"):
        fetch(file, tmp_path)


@pytest.mark.parametrize(("seconds", "least", "most"), [(-100, 0, 0), (3, 1, 3), (9999, 120, 120)])
def test_a_pause_can_be_asked_for_until_a_date(wicked, tmp_path, seconds, least, most):
    waited = []

    class Stop(threading.Event):
        def wait(self, timeout=None):
            waited.append(timeout)

    wicked.retry_after = format_datetime(
        datetime.now(UTC) + timedelta(seconds=seconds), usegmt=True
    )
    file = wicked.file("a.bin", BODY, "503", "well")
    Web(pauses=QUICK, stop=Stop()).fetch(file, tmp_path)
    assert least <= waited[0] <= most


def test_redirects_are_followed(wicked, tmp_path):
    wicked.put("/elsewhere", BODY)
    file = wicked.file("a.bin", BODY, f"to {wicked.url}/elsewhere")
    assert fetch(file, tmp_path).read_bytes() == BODY


@pytest.mark.parametrize(
    ("way", "said"),
    [
        ("404", "answers 404"),
        ("403", "answers 403"),
        ("416", "answers 416.*3 times in a row"),
        ("501", "answers 501 Not Implemented$"),
        ("to file:///etc/passwd", "a\\.bin: No connection adapters"),
        ("to http://[bad", "a\\.bin: Invalid IPv6 URL"),
        ("to http://127.0.0.1:99999/", "a\\.bin: .*Port out of range"),
        ("503", "answers 503.*3 times in a row"),
        ("another", "expected 262144 bytes with SHA-256 .*has been changed"),
        ("endless", "expected 262144 bytes"),
        ("says more another", "expected 262144 bytes|breaks off"),
    ],
)
def test_what_cannot_be_had_is_said(wicked, tmp_path, way, said):
    file = wicked.file("a.bin", BODY, way)
    with pytest.raises(UnavailableError, match=said):
        fetch(file, tmp_path)


def test_a_circle_of_redirects_ends(wicked, tmp_path):
    file = wicked.file("a.bin", BODY, f"to {wicked.url}/a.bin")
    with pytest.raises(UnavailableError, match="redirects"):
        fetch(file, tmp_path)


def test_a_proxy_that_leads_nowhere_is_said(wicked, tmp_path, monkeypatch):
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    monkeypatch.delenv("no_proxy", raising=False)
    with pytest.raises(UnavailableError, match="the proxy of this machine's settings does not"):
        fetch(wicked.file("a.bin", BODY), tmp_path)


def test_a_list_with_a_name_instead_of_a_digest():
    with pytest.raises(ValueError, match=r"no SHA-256 of a\.bin: expected 64 hexadecimal digits"):
        RemoteFile("../../elsewhere", 3, "a.bin")


def test_a_full_disk_is_said_and_what_came_stays(wicked, tmp_path):
    file = wicked.file("a.bin", BODY, "well")
    with (
        files_of_at_most(100_000),
        pytest.raises(OSError, match=f"cannot write .*{file.sha256}: File"),
    ):
        fetch(file, tmp_path)
    fetch(file, tmp_path)
    assert wicked.ranges == [None, 100_000]


def test_no_server_is_said(tmp_path, wicked):
    file = wicked.file("a.bin", BODY)
    wicked.close()
    with pytest.raises(UnavailableError, match="cannot be reached"):
        fetch(file, tmp_path)


def test_nothing_is_asked_for_what_is_there(wicked, tmp_path):
    file = wicked.file("a.bin", BODY)
    (tmp_path / file.sha256).write_bytes(BODY)
    fetch(file, tmp_path)
    assert not wicked.asked


def test_stopped_while_it_waits(wicked, tmp_path):
    file = wicked.file("a.bin", BODY, "503")
    stop = threading.Event()
    stop.set()
    with pytest.raises(StoppedError):
        Web(stop=stop, pauses=(1000.0,)).fetch(file, tmp_path)


def test_another_server_holds_the_same_paths(wicked, tmp_path):
    wicked.put("/owner/name/abc/a%20picture.png", BODY)
    file = RemoteFile(
        wicked.file("x", BODY).sha256, len(BODY), "a picture.png", repo="owner/name", commit="abc"
    )
    assert file.address() == ("https://raw.githubusercontent.com/owner/name/abc/a%20picture.png")
    assert fetch(file, tmp_path, server=wicked.url + "/").read_bytes() == BODY


def test_server_that_is_none():
    with pytest.raises(ValueError, match="expected a server such as https"):
        Web("example.org")


def git(folder, *words):
    subprocess.run(
        ["git", "-c", "user.name=A", "-c", "user.email=a@b.c", *words],
        cwd=folder,
        check=True,
        capture_output=True,
    )


@pytest.fixture
def mirror(tmp_path):
    """Clones with one picture each, and what is to be fetched from them."""
    clone = tmp_path / "mirror" / "owner" / "name"
    clone.mkdir(parents=True)
    git(clone, "init", "-q")
    (clone / "a b.png").write_bytes(BODY)
    git(clone, "add", ".")
    git(clone, "commit", "-qm", "one")
    commit = (clone / ".git/refs/heads").iterdir().__next__().read_text().strip()
    (clone / "a b.png").unlink()  # the commit counts, not the work tree
    return tmp_path / "mirror", commit


@pytest.mark.parametrize(
    "layout", ["owner/name", "owner+name", "owner+name/repo", "owner/name.git"]
)
def test_clones_in_every_layout(mirror, tmp_path, layout):
    folder, commit = mirror
    bare = tmp_path / "bare"
    git(tmp_path, "clone", "-q", "--bare", str(folder / "owner/name"), str(bare / layout))
    file = RemoteFile(sha(BODY), len(BODY), "a b.png", repo="owner/name", commit=commit)
    for place in (folder, bare):
        assert Mirror(place).fetch(file, tmp_path).read_bytes() == BODY


def test_a_worktree_is_a_clone_too(mirror, tmp_path):
    folder, commit = mirror
    git(folder / "owner/name", "worktree", "add", "-q", str(tmp_path / "trees/owner/name"))
    file = RemoteFile(sha(BODY), len(BODY), "a b.png", repo="owner/name", commit=commit)
    assert Mirror(tmp_path / "trees").fetch(file, tmp_path).read_bytes() == BODY


def test_a_shallow_clone_is_told_what_it_lacks(mirror, tmp_path):
    folder, commit = mirror
    git(folder / "owner/name", "commit", "-qam", "two")
    whole = f"file://{folder / 'owner/name'}"
    git(tmp_path, "clone", "-q", "--depth", "1", whole, str(tmp_path / "shallow/owner/name"))
    file = RemoteFile(sha(BODY), len(BODY), "a b.png", repo="owner/name", commit=commit)
    with pytest.raises(UnavailableError, match=f"is not in .*git fetch origin {commit} brings"):
        Mirror(tmp_path / "shallow").fetch(file, tmp_path)


def test_a_partial_clone_asks_nobody(mirror, tmp_path):
    folder, commit = mirror
    git(folder / "owner/name", "config", "uploadpack.allowFilter", "true")
    whole = f"file://{folder / 'owner/name'}"
    options = ["--filter=blob:none", "--no-checkout"]
    git(tmp_path, "clone", "-q", *options, whole, str(tmp_path / "partial/owner/name"))
    file = RemoteFile(sha(BODY), len(BODY), "a b.png", repo="owner/name", commit=commit)
    with pytest.raises(UnavailableError, match="is not in"):
        Mirror(tmp_path / "partial").fetch(file, tmp_path)


def test_a_pointer_of_git_lfs_is_called_so(mirror, tmp_path):
    folder, _ = mirror
    pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 9\n"
    (folder / "owner/name/big.png").write_text(pointer)
    git(folder / "owner/name", "add", ".")
    git(folder / "owner/name", "commit", "-qm", "two")
    file = RemoteFile("0" * 64, 9, "big.png", repo="owner/name", commit="HEAD")
    with pytest.raises(UnavailableError, match=r"got 64 bytes with .*\(a pointer of Git LFS"):
        Mirror(folder).fetch(file, tmp_path)


def test_without_git_a_mirror_of_repositories_cannot_be_read(mirror, tmp_path, monkeypatch):
    folder, commit = mirror
    monkeypatch.setenv("PATH", str(tmp_path))
    file = RemoteFile(sha(BODY), len(BODY), "a b.png", repo="owner/name", commit=commit)
    with pytest.raises(UnavailableError, match="by git, which is not installed"):
        Mirror(folder).fetch(file, tmp_path)


def test_a_link_to_a_mirrors_archive_is_never_written_through(wicked, tmp_path):
    file = wicked.file("a.bin", BODY, "well")
    archive = tmp_path / "archive.zip"
    archive.write_bytes(BODY[:100])  # half of it, linked by a run that was killed
    (tmp_path / file.sha256).symlink_to(archive)
    assert fetch(file, tmp_path).read_bytes() == BODY
    assert archive.read_bytes() == BODY[:100]


def sha(body):
    return hashlib.sha256(body).hexdigest()


def test_what_a_mirror_lacks_is_said(mirror, tmp_path):
    folder, commit = mirror
    absent = RemoteFile(sha(BODY), len(BODY), "c.png", repo="owner/name", commit=commit)
    with pytest.raises(UnavailableError, match=r"owner/name:c\.png is not in"):
        Mirror(folder).fetch(absent, tmp_path)
    changed = RemoteFile("0" * 64, 3, "a b.png", repo="owner/name", commit=commit)
    with pytest.raises(UnavailableError, match="expected 3 bytes with SHA-256 0000"):
        Mirror(folder).fetch(changed, tmp_path)
    with pytest.raises(UnavailableError, match="no clone of other/name"):
        Mirror(folder).fetch(RemoteFile("0" * 64, 3, "a", repo="other/name"), tmp_path)
    with pytest.raises(UnavailableError, match=r"b\.zip is not there"):
        Mirror(folder).fetch(RemoteFile("0" * 64, 3, "b.zip", url="http://x/b.zip"), tmp_path)
    with pytest.raises(NotADirectoryError, match="expected a folder"):
        Mirror(folder / "nowhere")
    assert not [path for path in tmp_path.iterdir() if path.is_file()]
