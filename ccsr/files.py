"""Writing files so that nobody ever sees half of one."""

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Give a temporary path beside `path`; on success it becomes `path`, else it is removed.

    The content is on the disk before the rename, so a crash or a full disk leaves either the
    old file or the new one. The temporary name is short: `path` may use all the bytes a file
    name can have.
    """
    temporary = path.with_name(f".ccsr-{secrets.token_hex(6)}.part")
    try:
        yield temporary
        with temporary.open("rb+") as stream:
            os.fsync(stream.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
