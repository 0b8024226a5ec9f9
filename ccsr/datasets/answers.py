"""What a web server's answer to a request for a file, or a part of it, means."""

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

import requests

LONGEST_PAUSE = 120.0  # seconds that a server can ask for
_TEMPORARY = (408, 416, 425, 429)
_LASTING = (501, 505)  # of a server's own faults


class UnavailableError(Exception):
    """A file that cannot be had, with a sentence that says why."""


class InterruptedTransferError(Exception):
    """An attempt that may succeed when it is repeated, after `wait` seconds at least."""

    def __init__(self, reason: str, wait: float = 0.0) -> None:
        super().__init__(reason)
        self.wait = wait


class ElsewhereError(InterruptedTransferError):
    """An answer that does not follow what is here already, which must be had anew."""


def goes_on(answer: requests.Response, have: int) -> bool:
    """Whether the body follows the first `have` bytes of the file; else it is the whole file.

    Raises:
        ElsewhereError: if what is here is no beginning of it, or the answer another part.
        InterruptedTransferError: for another answer that a further attempt may better.
        UnavailableError: for any other answer without the file.
    """
    code = answer.status_code
    said = f"the server answers {code} {answer.reason}"
    limited = code == 403 and "Retry-After" in answer.headers  # by their number, on GitHub
    if code in _TEMPORARY or (code >= 500 and code not in _LASTING) or limited:
        kind = ElsewhereError if code == 416 else InterruptedTransferError
        raise kind(said, _wanted_pause(answer.headers))
    if code == 200:
        return False
    if code == 206:
        encoded = answer.headers.get("Content-Encoding", "identity") != "identity"
        place = re.match(r"\s*bytes\s+(\d+)-", answer.headers.get("Content-Range", ""))
        if place and int(place[1]) == have and not encoded:
            return True
        raise ElsewhereError(f"{said}, which is another part than was asked for")
    raise UnavailableError(f"{answer.url}: {said}")


def _wanted_pause(headers: Mapping[str, str]) -> float:
    """Seconds that a server asks for, as a number or until a date."""
    asked = headers.get("Retry-After", "").strip()
    if asked.isdecimal():
        return min(float(asked), LONGEST_PAUSE)
    try:
        date = parsedate_to_datetime(asked)
    except ValueError:
        return 0.0
    if date.tzinfo is None:
        date = date.replace(tzinfo=UTC)
    return min(max(0.0, (date - datetime.now(UTC)).total_seconds()), LONGEST_PAUSE)


def failure(url: str, error: Exception) -> Exception:
    """What went wrong on the way: something that another attempt may better, or not."""
    if isinstance(error, requests.exceptions.SSLError):
        return UnavailableError(f"{url}: no secure connection: {error}")
    if isinstance(error, requests.exceptions.ProxyError):
        return InterruptedTransferError("the proxy of this machine's settings does not lead there")
    if isinstance(error, requests.exceptions.ContentDecodingError):
        return InterruptedTransferError("the answer is packed, and damaged")
    if isinstance(error, requests.exceptions.ChunkedEncodingError):
        return InterruptedTransferError("the connection breaks off")
    if isinstance(error, requests.ConnectionError | requests.Timeout):
        return InterruptedTransferError("the server cannot be reached or does not answer")
    return UnavailableError(f"{url}: {error}")
