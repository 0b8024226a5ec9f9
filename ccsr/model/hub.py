"""Model files in repositories of the Hugging Face Hub, pinned to what they hold.

`hf://USER/REPO/FILE@REVISION` names one, where the revision is the hash of a commit or
`sha256:` and the digest of the file. The package huggingface_hub fetches it and keeps it in its
cache; its environment variables (`HF_ENDPOINT`, `HF_HOME`, `HF_TOKEN`, `HF_HUB_OFFLINE`) hold.
"""

import hashlib
import re
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

from ccsr.distribution import remedy

PREFIX = "hf://"
_DIGEST = "sha256:"
_ADDRESS = re.compile(rf"{PREFIX}([^/@\s]+/[^/@\s]+)/([^@]+\.safetensors)(?:@([^@\s]+))?")
_COMMIT = re.compile(r"[0-9a-f]{40}")
_SHA256 = re.compile(r"[0-9a-f]{64}")
_NAME = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")


class _Wanted(NamedTuple):
    """A file of a repository at a revision; with the digest that it must have, or an empty text."""

    repo: str
    file: str
    revision: str
    sha256: str = ""


def fetch(address: str, largest: int) -> Path:
    """The file of an address, from the cache or from the server, whole and as it is pinned.

    Args:
        address: `hf://USER/REPO/FILE@REVISION`, with a file that ends in `.safetensors`.
        largest: how many bytes the file may have.

    Raises:
        ValueError: for an address of another form, one that is not pinned, a file that is too
            large, or bytes that are not those of the pin.
        OSError: if it cannot be had.
        RuntimeError: if the package huggingface_hub is not installed.
    """
    hub = _package()
    match = _ADDRESS.fullmatch(address)
    if not match or {"", ".", ".."} & {*match[2].split("/")}:
        raise ValueError(f"expected {PREFIX}USER/REPO/FILE.safetensors@REVISION, got {address!r}")
    wanted = _pinned(hub, *match.groups("main"))
    try:
        cached = hub.try_to_load_from_cache(wanted.repo, wanted.file, revision=wanted.revision)
    except ValueError as error:  # for a name that no repository has
        raise ValueError(f"{address}: {error}") from error
    found = Path(cached) if isinstance(cached, str) else None
    if found and (not wanted.sha256 or _sha256(found) == wanted.sha256):
        return _checked(address, found, wanted)
    size = _told(hub, address, wanted).size
    if size is None or size > largest:
        raise ValueError(f"{address} has {size} bytes, more than any model of ccsr ({largest})")
    try:
        path = hub.hf_hub_download(wanted.repo, wanted.file, revision=wanted.revision)
    except OSError as error:
        raise OSError(f"cannot get {address}: {error}") from error
    return _checked(address, Path(path), wanted)


def _package() -> ModuleType:
    try:
        import huggingface_hub
        import huggingface_hub.constants
        import huggingface_hub.errors
    except ModuleNotFoundError as error:
        raise RuntimeError(
            f"models at {PREFIX}... need the package huggingface_hub, which is not installed: run "
            + remedy("hub")
        ) from error
    return huggingface_hub


def _pinned(hub: ModuleType, repo: str, file: str, revision: str) -> _Wanted:
    digest = revision.removeprefix(_DIGEST).lower()
    if revision.startswith(_DIGEST) and _SHA256.fullmatch(digest):
        return _Wanted(repo, file, "main", digest)
    wanted = _Wanted(repo, file, revision)
    if _COMMIT.fullmatch(revision):
        return wanted
    address = f"{PREFIX}{repo}/{file}@"
    try:
        today = f"; today that is {address}{_told(hub, address + revision, wanted).commit_hash}"
    except (OSError, ValueError):  # the advice stands without it
        today = ""
    raise ValueError(
        f"what {revision!r} names in {repo} can change from day to day: pin the model by @ and the "
        f"40 digits of a commit, or by @{_DIGEST} and the 64 of the file's digest{today}"
    )


def _told(hub: ModuleType, address: str, wanted: _Wanted) -> Any:
    """What the server tells of the file without sending it."""
    errors, failed = hub.errors, f"cannot get {address}"
    try:
        url = hub.hf_hub_url(wanted.repo, wanted.file, revision=wanted.revision)
        return hub.get_hf_file_metadata(url, library_name="ccsr")
    except errors.RevisionNotFoundError as error:
        problem = f"{wanted.repo} has no revision {wanted.revision}"
        raise FileNotFoundError(f"{failed}: {problem}") from error
    except errors.RepositoryNotFoundError as error:
        raise FileNotFoundError(
            f"{failed}: there is no repository {wanted.repo}, or only who is logged in may read it "
            "(run hf auth login, or set HF_TOKEN)"
        ) from error
    except errors.EntryNotFoundError as error:
        problem = f"{wanted.repo} has no file {wanted.file} there"
        raise FileNotFoundError(f"{failed}: {problem}") from error
    except errors.HfHubHTTPError as error:
        answer = error.response
        problem = f"the server answers {answer.status_code} {answer.reason_phrase}"
        raise OSError(f"{failed}: {problem}: try again later") from error
    except Exception as error:  # what the package for the connection raises is not said
        raise OSError(
            f"{failed}: {hub.constants.ENDPOINT} cannot be reached ({error}), and the cache has "
            "no copy: try again when there is a connection, or give the path of a file"
        ) from error


def _checked(address: str, path: Path, wanted: _Wanted) -> Path:
    """The path, of a file whose bytes are those that are pinned and that the server told.

    The cache calls each file by the digest that the server told: SHA-256, or Git's own of small
    files. One with other bytes is of no use to anybody and goes.
    """
    blob, sha256 = path.resolve(), _sha256(path)
    told = blob.name if _NAME.fullmatch(blob.name) else ""  # none where links cannot be made
    found = sha256 if len(told) == 64 else _git_digest(path)
    if told and found != told:
        path.unlink()
        blob.unlink(missing_ok=True)
        raise ValueError(
            f"{address} came damaged: expected the digest {told}, got {found}: try again"
        )
    if wanted.sha256 not in ("", sha256):
        raise ValueError(
            f"{address}: expected a file with this digest, but what is there now has {sha256}"
        )
    return path


def _sha256(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _git_digest(path: Path) -> str:
    """What Git calls the content of a file."""
    data = path.read_bytes()
    return hashlib.sha1(b"blob %d\0" % len(data) + data, usedforsecurity=False).hexdigest()
