"""Writing files so that nobody ever sees half of one."""

import os
import secrets
import stat
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

if sys.platform != "win32":
    import fcntl

_PREFIX, _SUFFIX = ".ccsr-", ".part"
ABANDONED = 3600  # seconds without a change


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Give a temporary path beside `path`; on success it becomes `path`, else it is removed.

    A link stays, and what it points to is replaced; who may read and write a file stays too. The
    content is on the disk before the rename, so a crash or a full disk leaves either the
    old file or the new one. The temporary name is short: `path` may use all the bytes a file
    name can have.

    Raises:
        OSError: of the work on the temporary file too, as a sentence about `path`.
    """
    target = path.resolve() if path.is_symlink() else path
    temporary = target.with_name(f"{_PREFIX}{secrets.token_hex(6)}{_SUFFIX}")
    try:
        with _in_use(temporary):
            yield temporary
            with temporary.open("rb+") as stream:
                os.fsync(stream.fileno())
            with suppress(OSError):  # there is none, or the file system knows no rights
                temporary.chmod(stat.S_IMODE(target.stat().st_mode))
            temporary.replace(target)
    except OSError as error:
        raise _cannot_write(path, error) from error
    finally:
        with suppress(OSError):  # on a disk that turned read-only: what went wrong is told already
            temporary.unlink(missing_ok=True)


@contextmanager
def _in_use(temporary: Path) -> Iterator[None]:
    """Make a file, and hold it against `sweep`: work on it may rest for hours."""
    if sys.platform == "win32":
        yield
        return
    number = os.open(temporary, os.O_RDONLY | os.O_CREAT | os.O_EXCL, 0o666)
    try:
        with suppress(OSError):  # a file system without locks
            fcntl.flock(number, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    finally:
        os.close(number)


def _is_in_use(temporary: Path) -> bool:
    """Whether a process of this machine holds a temporary file."""
    if sys.platform == "win32":
        return False
    number = os.open(temporary, os.O_RDONLY)
    try:
        fcntl.flock(number, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        pass
    finally:
        os.close(number)
    return False


@contextmanager
def naming(path: Path, but: type[OSError] | tuple[type[OSError], ...] = ()) -> Iterator[None]:
    """Make the errors of writing `path` sentences about it, all `but` those of another kind.

    Raises:
        OSError: as such a sentence.
    """
    try:
        yield
    except but:
        raise
    except OSError as error:
        raise _cannot_write(path, error) from error


def make_folder(path: Path) -> None:
    """Make the folder that the file `path` will lie in.

    Raises:
        OSError: as a sentence about `path`.
    """
    with naming(path):
        path.parent.mkdir(parents=True, exist_ok=True)


def _cannot_write(path: Path, error: OSError) -> OSError:
    return OSError(f"cannot write {path}: {error.strerror or error}")


def sweep(folder: Path, abandoned: float = ABANDONED) -> None:
    """Remove the temporary files that processes left in `folder` when they were killed.

    Those that have not changed for `abandoned` seconds, and that no process of this machine holds:
    others may be in use.
    """
    with suppress(OSError):  # no such folder; or it cannot be tidied, which hurts nobody
        for path in folder.glob(f"{_PREFIX}*{_SUFFIX}"):
            old = time.time() - path.stat().st_mtime >= abandoned
            if old and not _is_in_use(path):
                path.unlink()


@contextmanager
def locked(folder: Path, wait: bool) -> Iterator[bool]:
    """Hold a folder against other processes that ask for it so; nothing is written into it.

    Processes that are forked meanwhile do not hold it: they may outlive this one by seconds.

    Args:
        folder: that exists.
        wait: until another process that holds it has ended, or gives it free.

    Yields:
        Whether it is held; true as well where the system has no such locks.
    """
    if sys.platform == "win32":
        yield True
        return
    number = os.open(folder, os.O_RDONLY)
    try:
        held = True
        try:
            fcntl.flock(number, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        except BlockingIOError:
            held = False
        except OSError:  # a file system without locks
            pass
        _held.add(number)
        yield held
    finally:
        _held.discard(number)
        os.close(number)


def _let_go() -> None:
    """Close what a forked process has of its parent's locks."""
    for number in _held:
        os.close(number)
    _held.clear()


_held: set[int] = set()
if sys.platform != "win32":
    os.register_at_fork(after_in_child=_let_go)
