"""Models of the Hugging Face Hub: a server on this machine that answers as the Hub does."""

import builtins
import hashlib
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import huggingface_hub
import huggingface_hub.constants
import pytest
import torch

from ccsr.model import checkpoint, hub
from ccsr.upscaling.upscaler import Upscaler
from networks import tiny

COMMIT = "0123456789abcdef0123456789abcdef01234567"
OTHER = "f" * 40
FILE = "nets/tiny.safetensors"


class Hub(ThreadingHTTPServer):
    """A repository `user/nets` with one file at `COMMIT`, where the branch main is.

    Attributes:
        body: the file.
        large: whether it is stored as large files are, under its SHA-256.
        status: of every answer, if not 0.
        sent: what of the file is sent, if it differs from what is told.
        asked: the method and path of each request.
    """

    def __init__(self, body: bytes) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.body, self.large, self.status, self.sent = body, True, 0, body
        self.size: int | None = None
        self.asked: list[str] = []

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    @property
    def digest(self) -> str:
        if self.large:
            return hashlib.sha256(self.body).hexdigest()
        return hashlib.sha1(b"blob %d\0" % len(self.body) + self.body).hexdigest()


class Handler(BaseHTTPRequestHandler):
    server: Hub

    def log_message(self, *words: object) -> None:
        pass

    def do_HEAD(self) -> None:
        self.answer()

    def do_GET(self) -> None:
        self.answer()

    def answer(self) -> None:
        self.server.asked.append(f"{self.command} {self.path}")
        repo, _, rest = self.path.strip("/").partition("/resolve/")
        revision, _, file = rest.partition("/")
        if self.server.status:
            self.fail(self.server.status, "")
        elif repo != "user/nets":
            self.fail(401, "RepoNotFound")
        elif revision not in (COMMIT, "main"):
            self.fail(404, "RevisionNotFound")
        elif file != FILE:
            self.fail(404, "EntryNotFound")
        else:
            self.send()

    def fail(self, status: int, code: str) -> None:
        self.send_response(status)
        self.send_header("X-Error-Code", code)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def send(self) -> None:
        told = self.server.size or len(self.server.body)
        self.send_response(200)
        self.send_header("X-Repo-Commit", COMMIT)
        self.send_header("ETag", f'"{self.server.digest}"')
        self.send_header("Content-Length", str(told))
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(self.server.sent)


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    path = tmp_path_factory.mktemp("network") / "tiny.safetensors"
    checkpoint.save(path, tiny(None), {"licence": "MIT"})
    return path.read_bytes()


@pytest.fixture
def server(network: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    with Hub(network) as found:
        thread = threading.Thread(target=found.serve_forever, args=(0.05,), daemon=True)
        thread.start()
        monkeypatch.setattr(huggingface_hub.constants, "ENDPOINT", found.address)
        monkeypatch.setattr(
            huggingface_hub.constants, "HUGGINGFACE_CO_URL_TEMPLATE",
            found.address + "/{repo_id}/resolve/{revision}/{filename}",
        )  # fmt: skip
        monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
        yield found
        found.shutdown()
        thread.join()


def pinned(by: str = COMMIT) -> str:
    return f"hf://user/nets/{FILE}@{by}"


def left(folder: Path) -> list[str]:
    """The files of the cache that hold bytes of a model."""
    found = (p for p in folder.rglob("*") if p.is_file() and p.name != "CACHEDIR.TAG")
    return [p.name for p in found if p.stat().st_size > 100]


@pytest.mark.parametrize("large", [True, False])
def test_a_commit_is_fetched_once_and_stays(server: Hub, tmp_path: Path, large: bool) -> None:
    server.large = large
    loaded = Upscaler.load(pinned(), device="cpu")
    x = torch.rand(1, 3, 8, 8)
    expected = Upscaler(tiny(None), device="cpu").tensor(x, scale=2)
    torch.testing.assert_close(loaded.tensor(x, scale=2), expected)
    assert any(line.startswith("GET") for line in server.asked)
    server.asked.clear()
    path = checkpoint.resolve(pinned())
    assert path.read_bytes() == server.body
    assert path.stem == "tiny"
    assert server.asked == []  # and it works without a connection


def test_a_digest_holds_whatever_the_branch_does(server: Hub, network: bytes) -> None:
    digest = hashlib.sha256(network).hexdigest()
    assert checkpoint.resolve(pinned(f"sha256:{digest}")).read_bytes() == network
    server.asked.clear()
    server.body = server.sent = network + b"new"
    assert checkpoint.resolve(pinned(f"sha256:{digest.upper()}")).read_bytes() == network
    assert server.asked == []
    with pytest.raises(ValueError, match="expected a file with this digest, but what is there now"):
        checkpoint.resolve(pinned(f"sha256:{'0' * 64}"))


@pytest.mark.parametrize("revision", ["main", "", "0123456"])
def test_what_may_change_is_refused(server: Hub, revision: str, tmp_path: Path) -> None:
    address = pinned(revision).removesuffix("@")
    today = "" if revision == "0123456" else f"; today that is {pinned(COMMIT)}"
    with pytest.raises(
        ValueError, match="can change from day to day: pin the model by @"
    ) as caught:
        checkpoint.resolve(address)
    assert str(caught.value).endswith(f"of the file's digest{today}")
    assert left(tmp_path) == []


@pytest.mark.parametrize(
    ("address", "error", "message"),
    [
        (f"hf://user/none/{FILE}@{COMMIT}", FileNotFoundError, "there is no repository user/none"),
        (pinned(OTHER), FileNotFoundError, f"user/nets has no revision {OTHER}"),
        (f"hf://user/nets/a.safetensors@{COMMIT}", FileNotFoundError, "no file a.safetensors"),
        (f"hf://user/nets/a.pt@{COMMIT}", ValueError, "expected hf://USER/REPO/FILE.safetensors"),
        (f"hf://nets/a.safetensors@{COMMIT}", ValueError, "expected hf://USER/REPO/FILE"),
        (f"hf://-a-/--b/a.safetensors@{COMMIT}", ValueError, "hf://-a-/--b"),
        (f"hf://user/nets/../a.safetensors@{COMMIT}", ValueError, "expected hf://USER/REPO/FILE"),
    ],
)
def test_what_is_not_there(
    server: Hub, tmp_path: Path, address: str, error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        checkpoint.resolve(address)
    assert left(tmp_path) == []


@pytest.mark.parametrize("status", [500, 503])
def test_a_server_that_fails(server: Hub, status: int) -> None:
    server.status = status
    with pytest.raises(OSError, match=f"cannot get {pinned()}: the server answers {status}"):
        checkpoint.resolve(pinned())


def test_a_file_larger_than_any_model_is_not_fetched(server: Hub) -> None:
    server.size = checkpoint.LARGEST_FILE + 1
    with pytest.raises(ValueError, match="more than any model of ccsr"):
        checkpoint.resolve(pinned())
    assert not any(line.startswith("GET") for line in server.asked)


@pytest.mark.parametrize("large", [True, False])
def test_other_bytes_than_were_told_are_not_kept(
    server: Hub, tmp_path: Path, network: bytes, large: bool
) -> None:
    server.large = large
    server.sent = network[:-1] + bytes([network[-1] ^ 1])
    for _ in range(2):
        with pytest.raises(ValueError, match="came damaged: expected the digest"):
            checkpoint.resolve(pinned())
        assert left(tmp_path) == []
    server.sent = network
    assert checkpoint.resolve(pinned()).read_bytes() == network


def test_a_copy_that_is_damaged_later_goes(server: Hub, network: bytes) -> None:
    path = checkpoint.resolve(pinned())
    path.resolve().chmod(0o644)
    path.write_bytes(network[:-1] + bytes([network[-1] ^ 1]))
    with pytest.raises(ValueError, match="came damaged"):
        checkpoint.resolve(pinned())
    assert checkpoint.resolve(pinned()).read_bytes() == network


def test_offline_a_file_that_was_not_fetched_is_an_error(
    server: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(OSError, match="cannot be reached"):
        checkpoint.resolve(pinned(OTHER))
    assert not server.asked


def test_without_a_connection(server: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    nobody = "http://127.0.0.1:1"
    monkeypatch.setattr(huggingface_hub.constants, "ENDPOINT", nobody)
    template = nobody + "/{repo_id}/resolve/{revision}/{filename}"
    monkeypatch.setattr(huggingface_hub.constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)
    with pytest.raises(OSError, match=r"http://127.0.0.1:1 cannot be reached .* has no copy"):
        checkpoint.resolve(pinned())


def test_without_the_package(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = builtins.__import__

    def without(name: str, *more: object, **options: object) -> object:
        if name.startswith("huggingface_hub"):
            raise ModuleNotFoundError(name=name)
        return whole(name, *more, **options)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(RuntimeError, match=r"huggingface_hub, .*: run pip install 'ccsr\[hub\]'"):
        hub.fetch(pinned(), 1)


@pytest.mark.long
def test_on_the_command_line(server: Hub, tmp_path: Path) -> None:
    from PIL import Image

    Image.effect_noise((8, 6), 60).save(tmp_path / "a.png")
    home = {"HF_ENDPOINT": server.address, "HF_HOME": str(tmp_path / "home")}

    def upscale(address: str, **more: str) -> subprocess.CompletedProcess[str]:
        words = ["upscale", "a.png", "--scale", "2", "--name", "{model}", "--exists", "overwrite"]
        command = [sys.executable, "-m", "ccsr", *words, "--json", "--model", address]
        return subprocess.run(
            command, cwd=tmp_path, env={**os.environ, **home, **more},
            capture_output=True, text=True, check=False,
        )  # fmt: skip

    done = upscale(pinned())
    assert (done.returncode, done.stderr) == (0, "")
    assert (tmp_path / "tiny.png").exists()
    assert upscale(pinned(), HF_HUB_OFFLINE="1").returncode == 0
