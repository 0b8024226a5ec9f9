"""Results on their way to the browser: by links that work once, several files as one zip."""

import secrets
import time
import zipfile
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from urllib.parse import quote

from starlette.exceptions import HTTPException
from starlette.responses import FileResponse, Response, StreamingResponse

from ccsr.web.enlarging import Enlargement

SECONDS = 60.0  # that a download may wait to begin
CHUNK = 1 << 20  # bytes


class Tickets:
    """Links for a browser's own downloads, which cannot send the token."""

    def __init__(self) -> None:
        self._answers: dict[str, tuple[float, Callable[[], Response]]] = {}

    def give(self, answer: Callable[[], Response]) -> str:
        """The end of a link that gives `answer` once, and not after `SECONDS`."""
        now = time.monotonic()
        self._answers = {key: kept for key, kept in self._answers.items() if kept[0] > now}
        ticket = secrets.token_urlsafe(24)
        self._answers[ticket] = (now + SECONDS, answer)
        return ticket

    def take(self, ticket: str) -> Response:
        """What a link gives.

        Raises:
            HTTPException: 404, if it was used or is too old.
        """
        until, answer = self._answers.pop(ticket, (0.0, None))
        if answer is None or until < time.monotonic():
            raise HTTPException(404, "this link was for one download: press the button again")
        return answer()


def result(enlargement: Enlargement, number: int) -> Response:
    """One result as a file.

    Raises:
        ValueError: if it is not done, or was removed.
    """
    item = enlargement.items[number]
    if item not in enlargement.done or not item.output.exists():
        raise ValueError(f"{item.name} is not here: it is not done, or was removed")
    return FileResponse(item.output, filename=item.name)


def results(enlargement: Enlargement) -> Response:
    """All results that are done, as one zip; it comes whole even if they are removed meanwhile.

    Raises:
        ValueError: if there is none, or they were removed.
    """
    if not enlargement.done or not enlargement.folder.exists():
        raise ValueError("there are no results: none is done, or they were removed")
    pairs = [(item.output, item.name) for item in enlargement.done]
    name = quote(f"ccsr_{enlargement.target.label}.zip")
    disposition = {"Content-Disposition": f'attachment; filename="{name}"'}
    return StreamingResponse(
        _held(enlargement, pairs), media_type="application/zip", headers=disposition
    )


def _held(enlargement: Enlargement, files: Iterable[tuple[Path, str]]) -> Iterator[bytes]:
    enlargement.hold()
    try:
        yield from stream(files)
    finally:
        enlargement.release()


class _Pipe:
    """A file that only takes: what was written since the last look is handed on."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []

    def write(self, data: bytes) -> int:
        self._parts.append(bytes(data))
        return len(data)

    def flush(self) -> None:
        """Nothing waits."""

    def take(self) -> bytes:
        data = b"".join(self._parts)
        self._parts.clear()
        return data


def stream(files: Iterable[tuple[Path, str]]) -> Iterator[bytes]:
    """A zip of files under the given names, stored as they are: pictures are packed already.

    Holds a megabyte at a time, however large they are.
    """
    pipe = _Pipe()
    with zipfile.ZipFile(pipe, "w") as archive:  # type: ignore[call-overload]
        for path, name in files:
            info = zipfile.ZipInfo.from_file(path, name)
            with path.open("rb") as source, archive.open(info, "w", force_zip64=True) as target:
                while chunk := source.read(CHUNK):
                    target.write(chunk)
                    yield pipe.take()
    yield pipe.take()
