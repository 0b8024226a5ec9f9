"""Stores for tests: what is asked of them is counted, and they fail when they are told to."""

import os
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar

import fsspec
from fsspec.implementations.local import LocalFileSystem
from fsspec.implementations.memory import MemoryFileSystem
from fsspec.registry import _registry
from PIL import Image

from ccsr import image
from ccsr.jobs import remote
from ccsr.jobs.target import Target

TWICE = Target(scale=(2.0, 2.0))
TREE = (
    "in/p10.png", "in/P2.jpg", "in/notes.txt", "in/.hidden.png", "in/b10/a.png", "in/b9/c/x.webp",
    "in/.cache/y.png", "in/b9/.z.png", "in/folder.png/in.png", "in/q2_2x.png", "in/q2.png",
    "in/out/p10_2x.png", "out/p10_2x.png", "out/b10/a_2x.png", "in/b10/a_2x.png", "one/p10.png",
)  # fmt: skip


def double(source, *, scale, size, progress):
    height, width = TWICE.size(source.size)
    return image.Picture.of(source.to_pil().resize((width, height)))


def fill(root: Path) -> None:
    for number, name in enumerate(TREE):
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.suffix == ".txt":
            path.write_text("no picture")
        else:
            Image.new("RGB", (3 + number, 2), (number, 1, 2)).save(path)


def upload(root: Path, to: str = "gs://bucket") -> None:
    files = fsspec.filesystem(to.partition(":")[0])
    for path in root.rglob("*"):
        if path.is_file():
            files.pipe_file(f"{to}/{path.relative_to(root).as_posix()}", path.read_bytes())


class Bucket(MemoryFileSystem):
    """A store of objects, in the place of Google's."""

    protocol = "gs"
    store: ClassVar[dict[str, Any]] = {}
    pseudo_dirs: ClassVar[list[str]] = [""]
    asked: ClassVar[Counter[str]] = Counter()
    fail: ClassVar[Callable[[str, str], Exception | None]] = staticmethod(lambda verb, key: None)

    @classmethod
    def _strip_protocol(cls, path: str) -> str:
        return "/" + path.removeprefix("gs://").strip("/")

    def _ask(self, verb: str, key: str) -> None:
        type(self).asked[verb] += 1
        if error := type(self).fail(verb, key):
            raise error

    def find(self, path, *args, **options):
        self._ask("list", path)
        return super().find(path, *args, **options)

    def ls(self, path, *args, **options):
        self._ask("list", path)
        return super().ls(path, *args, **options)

    def info(self, path, **options):
        self._ask("look", path)
        return super().info(path, **options)

    def get_file(self, rpath, lpath, **options):
        self._ask("read", rpath)
        Path(lpath).write_bytes(self.cat_file(rpath))

    def put_file(self, lpath, rpath, **options):
        self._ask("write", rpath)
        self.store.pop(rpath, None)
        super().put_file(lpath, rpath)

    def pipe_file(self, path, value, mode="overwrite", **options):
        self._ask("write", path)
        return super().pipe_file(path, value, mode, **options)


class Far(LocalFileSystem):
    """A file system with folders, in the place of that of SFTP."""

    protocol = "sftp"
    top = ""

    @classmethod
    def _strip_protocol(cls, path: Any) -> str:
        text = os.fspath(path)
        return cls.top + "/" + text.removeprefix("sftp://").strip("/") if "://" in text else text


@contextmanager
def installed(scheme: str, kind: type) -> Iterator[None]:
    """Use a class for the URLs of a scheme."""
    known = _registry
    before = known.get(scheme)
    known[scheme] = kind
    remote._connect.cache_clear()
    kind.clear_instance_cache()
    try:
        yield
    finally:
        known.pop(scheme)
        if before is not None:
            known[scheme] = before
        remote._connect.cache_clear()


@contextmanager
def web(answers: Callable[[str], tuple[int, bytes]]) -> Iterator[str]:
    """A web server on 127.0.0.1; gives its address."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            code, body = answers(self.path)
            self.send_response(code)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            if self.command == "GET":
                self.wfile.write(body)

        def do_HEAD(self) -> None:
            self.do_GET()

        def log_message(self, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
