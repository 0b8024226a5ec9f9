"""Files that lie elsewhere, and the two places to get them from: a web server, a folder.

Whatever arrives is compared with its size and SHA-256 before anything is made of it.
"""

import hashlib
import subprocess
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol
from urllib.parse import quote, urlsplit

import requests

GITHUB = "https://raw.githubusercontent.com"
PAUSES = (1.0, 4.0, 15.0, 60.0)  # seconds between attempts that bring nothing
LONGEST_PAUSE = 120.0  # that a server can ask for
TIMEOUT = (15, 60)  # seconds: to connect, and between two pieces of a body
PIECE = 1 << 16
_TEMPORARY = (408, 416, 425, 429, 500, 502, 503, 504)


class UnavailableError(Exception):
    """A file that cannot be had, with a sentence that says why."""


class StoppedError(Exception):
    """The work was given up while a file was on its way."""


class _InterruptedError(Exception):
    """An attempt that may succeed when it is repeated, after `wait` seconds at least."""

    def __init__(self, reason: str, wait: float = 0.0) -> None:
        super().__init__(reason)
        self.wait = wait


@dataclass(frozen=True)
class RemoteFile:
    """A file, known by what it contains.

    Attributes:
        sha256: of its bytes, as 64 hexadecimal digits.
        size: in bytes.
        path: within the repository, or the name of an archive.
        url: of an archive; empty for a file of a repository.
        repo: ``OWNER/NAME`` of a repository on GitHub; empty for an archive.
        commit: of the repository.
    """

    sha256: str
    size: int
    path: str
    url: str = ""
    repo: str = ""
    commit: str = ""

    def address(self, server: str = "") -> str:
        """Its URL, on another server under the same path if `server` is given."""
        if self.repo:
            return f"{server or GITHUB}/{self.repo}/{self.commit}/{quote(self.path)}"
        return f"{server}{urlsplit(self.url).path}" if server else self.url

    @property
    def label(self) -> str:
        """What messages call it."""
        return f"{self.repo}:{self.path}" if self.repo else self.path


class Source(Protocol):
    """A place that files are had from."""

    def fetch(self, file: RemoteFile, folder: Path) -> Path:
        """A verified copy of `file` in `folder`, named by its SHA-256.

        Raises:
            UnavailableError: if it cannot be had.
            OSError: if it cannot be written.
        """
        ...


class Web:
    """Files from the web servers that they are published on.

    A transfer that breaks off goes on where it ended, in this run or a later one. Attempts that
    bring nothing are repeated with growing pauses, at least as long as the server asks for.

    Args:
        server: URL of a server that holds the same paths, instead of the files' own; or empty.
        received: called with the number of bytes of every piece that arrives.
        stop: when set, transfers end with `StoppedError`.
        pauses: seconds to wait after each attempt but the last.
    """

    def __init__(
        self,
        server: str = "",
        received: Callable[[int], None] = lambda count: None,
        stop: threading.Event | None = None,
        pauses: tuple[float, ...] = PAUSES,
    ) -> None:
        if server and urlsplit(server).scheme not in ("http", "https"):
            raise ValueError(f"expected a server such as https://example.org, got {server!r}")
        self._server, self._received, self._pauses = server.rstrip("/"), received, pauses
        self._stop = stop or threading.Event()
        self._local = threading.local()  # one connection per thread

    def fetch(self, file: RemoteFile, folder: Path) -> Path:
        """See :class:`Source`."""
        part = folder / file.sha256
        url = file.address(self._server)
        failed, damaged = 0, 0
        while True:
            before = _length(part)
            try:
                self._receive(url, file, part)
            except _InterruptedError as error:
                failed = 0 if _length(part) - before >= PIECE else failed + 1
                if failed > len(self._pauses):
                    raise UnavailableError(f"{url}: {error}, {failed} times in a row") from error
                if self._stop.wait(max(self._pauses[max(failed - 1, 0)], error.wait)):
                    raise StoppedError from error
                continue
            found = _digest(part)
            if found == (file.size, file.sha256):
                return part
            part.unlink()
            damaged += 1
            if damaged == 2:
                raise UnavailableError(
                    f"{url}: expected {file.size} bytes with SHA-256 {file.sha256}, got "
                    f"{found[0]} bytes with {found[1]}: what is there has been changed"
                )

    def _receive(self, url: str, file: RemoteFile, part: Path) -> None:
        """Append to `part` what is missing, or begin anew if the server cannot go on."""
        have = _length(part)
        if have >= file.size:
            return
        headers = {"Accept-Encoding": "identity"}
        if have:
            headers["Range"] = f"bytes={have}-"
        try:
            with self._session().get(url, headers=headers, stream=True, timeout=TIMEOUT) as answer:
                if answer.status_code == 416:  # what is here already is no beginning of it
                    part.unlink()
                goes_on = _goes_on(answer, have)
                with part.open("ab" if goes_on else "wb") as stream:
                    for piece in answer.iter_content(PIECE):
                        if self._stop.is_set():
                            raise StoppedError
                        stream.write(piece)
                        self._received(len(piece))
                        if stream.tell() > file.size:
                            return  # too much of it: the digest will say so
        except (requests.ConnectionError, requests.Timeout) as error:
            if isinstance(error, requests.exceptions.SSLError):
                raise UnavailableError(f"{url}: no secure connection: {error}") from error
            raise _InterruptedError("the server cannot be reached or does not answer") from error
        except requests.exceptions.ChunkedEncodingError as error:
            raise _InterruptedError("the connection breaks off") from error
        except requests.RequestException as error:
            raise UnavailableError(f"{url}: {error}") from error
        if (got := _length(part)) < file.size:
            raise _InterruptedError(f"the server ends after {got} of {file.size} bytes")

    def _session(self) -> requests.Session:
        if not hasattr(self._local, "session"):
            self._local.session = requests.Session()
            self._local.session.headers["User-Agent"] = "ccsr"
        session: requests.Session = self._local.session
        return session


class Mirror:
    """Files from a folder: clones of the repositories, and archives by their names.

    Args:
        folder: holds ``OWNER/NAME`` or ``OWNER+NAME`` for each repository, with a work tree or
            bare (also as ``repo`` in that folder), and archives such as ``DIV2K_valid_HR.zip``.
    """

    def __init__(self, folder: Path) -> None:
        if not folder.is_dir():
            raise NotADirectoryError(f"--mirror: expected a folder, got {folder}")
        self._folder = folder

    def fetch(self, file: RemoteFile, folder: Path) -> Path:
        """See :class:`Source`."""
        copy = folder / file.sha256
        if file.repo:
            self._from_repository(file, copy)
        else:
            archive = self._folder / file.path
            if not archive.is_file():
                raise UnavailableError(f"{archive} is not there")
            copy.unlink(missing_ok=True)
            copy.symlink_to(archive.resolve())
        found = _digest(copy)
        if found != (file.size, file.sha256):
            copy.unlink()
            raise UnavailableError(
                f"{file.label} in {self._folder}: expected {file.size} bytes with SHA-256 "
                f"{file.sha256}, got {found[0]} bytes with {found[1]}"
            )
        return copy

    def _from_repository(self, file: RemoteFile, copy: Path) -> None:
        git = self._git_folder(file.repo)
        command = ["git", "--git-dir", str(git), "cat-file", "blob", f"{file.commit}:{file.path}"]
        with copy.open("wb") as stream:
            done = subprocess.run(command, stdout=stream, stderr=subprocess.PIPE, check=False)
        if done.returncode:
            copy.unlink()
            reason = done.stderr.decode(errors="replace").strip().splitlines()[-1:]
            raise UnavailableError(f"{file.label} is not in {git}: {' '.join(reason)}")

    def _git_folder(self, repo: str) -> Path:
        for name in (repo, repo.replace("/", "+"), f"{repo}.git"):
            base = self._folder / name
            for folder in (base / ".git", base / "repo" / ".git", base / "repo", base):
                if (folder / "objects").is_dir():
                    return folder
        raise UnavailableError(
            f"no clone of {repo} in {self._folder}: expected it in {repo}/ or "
            f"{repo.replace('/', '+')}/"
        )


def _goes_on(answer: requests.Response, have: int) -> bool:
    """Whether the body follows the first `have` bytes of the file; else it is the whole file.

    Raises:
        _InterruptedError: for an answer that another attempt may better.
        UnavailableError: for any other answer without the file.
    """
    code = answer.status_code
    if code in _TEMPORARY:
        asked = answer.headers.get("Retry-After", "")
        wait = min(float(asked), LONGEST_PAUSE) if asked.isdecimal() else 0.0
        raise _InterruptedError(f"the server answers {code} {answer.reason}", wait)
    if code == 200:
        return False
    if code == 206 and answer.headers.get("Content-Range", "").startswith(f"bytes {have}-"):
        return True
    raise UnavailableError(f"{answer.url}: the server answers {code} {answer.reason}")


def _length(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def _digest(path: Path) -> tuple[int, str]:
    """Length and SHA-256 of a file."""
    with path.open("rb") as stream:
        digest = hashlib.file_digest(stream, "sha256")
        return stream.tell(), digest.hexdigest()
