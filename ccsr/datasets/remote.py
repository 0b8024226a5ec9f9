"""Files that lie elsewhere, and the two places to get them from: a web server, a folder.

Whatever arrives is compared with its size and SHA-256 before anything is made of it.
"""

import hashlib
import os
import re
import subprocess
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol
from urllib.parse import quote, urlsplit

import requests
import urllib3

from ccsr.atomic import naming
from ccsr.datasets.answers import (
    ElsewhereError,
    InterruptedTransferError,
    UnavailableError,
    failure,
    goes_on,
)

GITHUB = "https://raw.githubusercontent.com"
PAUSES = (1.0, 4.0, 15.0, 60.0)  # seconds between attempts that bring nothing
TIMEOUT = (15, 60)  # seconds: to connect, and between two pieces of a body
PIECE = 1 << 16
_POINTER = b"version https://git-lfs"  # what a repository holds instead of a large file


class StoppedError(Exception):
    """The work was given up while a file was on its way."""


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

    Raises:
        ValueError: if the SHA-256 is none; a name is made of it.
    """

    sha256: str
    size: int
    path: str
    url: str = ""
    repo: str = ""
    commit: str = ""

    def __post_init__(self) -> None:
        if not re.fullmatch("[0-9a-f]{64}", self.sha256):
            raise ValueError(
                f"the list of files has no SHA-256 of {self.label}: expected 64 hexadecimal "
                f"digits, got {self.sha256!r}"
            )

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
        if part.is_symlink():  # to a file of a mirror, which is nothing to write to
            part.unlink()
        url = file.address(self._server)
        failed, damaged, most = 0, 0, _length(part)
        while True:
            try:
                self._receive(url, file, part)
            except InterruptedTransferError as error:
                failed = 0 if _length(part) - most >= PIECE else failed + 1
                most = max(most, _length(part))  # what came, was thrown away and comes again is old
                if failed > len(self._pauses):
                    raise UnavailableError(f"{url}: {error}, {failed} times in a row") from error
                if self._stop.wait(max(self._pauses[max(failed - 1, 0)], error.wait)):
                    raise StoppedError from error
                continue
            found = _digest(part)
            if found == (file.size, file.sha256):
                return part
            reason = f"{url}: {_difference(file, found, part)}: what is there has been changed"
            part.unlink()
            damaged += 1
            if damaged == 2:
                raise UnavailableError(reason)

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
                try:
                    follows = goes_on(answer, have)
                except ElsewhereError:
                    part.unlink(missing_ok=True)
                    raise
                self._write(answer, part, "ab" if follows else "wb", file.size)
        except (requests.RequestException, urllib3.exceptions.HTTPError, ValueError) as error:
            raise failure(url, error) from error
        if (got := _length(part)) < file.size:
            raise InterruptedTransferError(f"the server ends after {got} of {file.size} bytes")

    def _write(self, answer: requests.Response, part: Path, mode: str, size: int) -> None:
        """Write the body to `part`, until it is more than `size` bytes: the digest will say so."""
        answer.raw.enforce_content_length = False  # else the last piece before a break is lost
        with naming(part, but=requests.RequestException), part.open(mode) as stream:
            for piece in answer.iter_content(PIECE):
                if self._stop.is_set():
                    raise StoppedError
                stream.write(piece)
                self._received(len(piece))
                if stream.tell() > size:
                    return

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
            reason = f"{file.label} in {self._folder}: {_difference(file, found, copy)}"
            copy.unlink()
            raise UnavailableError(reason)
        return copy

    def _from_repository(self, file: RemoteFile, copy: Path) -> None:
        git = self._git_folder(file.repo)
        command = ["git", "--git-dir", str(git), "cat-file", "blob", f"{file.commit}:{file.path}"]
        alone = {**os.environ, "GIT_ALLOW_PROTOCOL": "none"}  # a partial clone would ask its origin
        with naming(copy), copy.open("wb") as stream:
            try:
                done = subprocess.run(
                    command, stdout=stream, stderr=subprocess.PIPE, check=False, env=alone
                )
            except FileNotFoundError as error:
                raise UnavailableError(
                    f"{file.label}: --mirror reads clones by git, which is not installed"
                ) from error
        if done.returncode:
            copy.unlink()
            reason = done.stderr.decode(errors="replace").strip().splitlines()[-1:]
            raise UnavailableError(
                f"{file.label} is not in {git}: {' '.join(reason)} (expected the commit "
                f"{file.commit}, which git fetch origin {file.commit} brings)"
            )

    def _git_folder(self, repo: str) -> Path:
        for name in (repo, repo.replace("/", "+"), f"{repo}.git"):
            base = self._folder / name
            for folder in (base / ".git", base / "repo" / ".git", base / "repo", base):
                if (folder / "objects").is_dir() or (folder.name == ".git" and folder.is_file()):
                    return folder
        raise UnavailableError(
            f"no clone of {repo} in {self._folder}: expected it in {repo}/ or "
            f"{repo.replace('/', '+')}/"
        )


def _difference(file: RemoteFile, found: tuple[int, str], copy: Path) -> str:
    """How the content of `copy`, of which `found` is the digest, is not that of `file`."""
    text = (
        f"expected {file.size} bytes with SHA-256 {file.sha256}, got {found[0]} bytes with "
        f"{found[1]}"
    )
    with copy.open("rb") as stream:
        pointer = stream.read(len(_POINTER)) == _POINTER
    return text + (" (a pointer of Git LFS instead of the file)" if pointer else "")


def _length(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def _digest(path: Path) -> tuple[int, str]:
    """Length and SHA-256 of a file."""
    with path.open("rb") as stream:
        digest = hashlib.file_digest(stream, "sha256")
        return stream.tell(), digest.hexdigest()
