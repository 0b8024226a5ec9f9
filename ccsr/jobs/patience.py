"""Requests to a store far away: repeated while it is busy, and their errors in plain words."""

import errno
import random
import threading
import time
from collections.abc import Callable, Iterator
from typing import ParamSpec, TypeVar

PAUSES = (1, 2, 4, 8, 16)  # seconds
_BUSY = {408, 425, 429, 500, 502, 503, 504}  # of HTTP
_DENIED = {401, 403}
_PASSING = {
    getattr(errno, name)
    for name in ("EAGAIN", "EBUSY", "ECONNABORTED", "ECONNRESET", "EPIPE", "EREMOTEIO", "ETIMEDOUT")
    if hasattr(errno, name)
}
_BROKEN = {  # of aiohttp, botocore and requests, when a connection ends too early
    "ChunkedEncodingError", "ClientPayloadError", "ConnectTimeout", "ConnectTimeoutError",
    "ConnectionClosedError", "IncompleteReadError", "ReadTimeout", "ReadTimeoutError",
    "ResponseStreamingError", "ServerDisconnectedError",
}  # fmt: skip
# Where nobody listens the address may be wrong; once a store has answered it may begin anew, and
# would fail a thousand pictures meanwhile.
_UNREACHED = {
    getattr(errno, name)
    for name in ("ECONNREFUSED", "EHOSTUNREACH", "ENETDOWN", "ENETUNREACH")
    if hasattr(errno, name)
}
_NO_CONNECTION = {"EndpointConnectionError"}
_answered = threading.Event()

R = TypeVar("R")
A = ParamSpec("A")


def patiently(sentence: str, work: Callable[A, R], *args: A.args, **options: A.kwargs) -> R:
    """Do `work`, and again after growing pauses as long as the store is busy.

    Args:
        sentence: the begin of that of an error: `cannot read s3://bucket/a.png`.
        work: a request.
        args: of `work`.
        options: of `work`.

    Raises:
        OSError: says what is wrong.
    """
    pauses = iter(PAUSES)
    waited = 0.0
    while True:
        try:
            result = work(*args, **options)
        except Exception as error:
            pause = next(pauses, None)
            if pause is None or not _is_passing(error):
                raise OSError(f"{sentence}: {_reason(error, waited)}") from error
        else:
            _answered.set()
            return result
        seconds = pause * random.uniform(0.75, 1.25)  # not all machines at once
        time.sleep(seconds)
        waited += seconds


def _causes(error: BaseException) -> Iterator[BaseException]:
    """An error, and those that it comes from."""
    cause: BaseException | None = error
    while cause is not None:
        yield cause
        cause = cause.__cause__


def _status(error: BaseException) -> int | None:
    """That of HTTP, where there is one."""
    response = getattr(error, "response", None)
    if isinstance(response, dict):  # botocore
        response = response.get("ResponseMetadata", {}).get("HTTPStatusCode")
    places = (response, *(getattr(error, name, None) for name in ("status", "code", "status_code")))
    return next((place for place in places if isinstance(place, int)), None)


def _is_passing(error: BaseException) -> bool:
    return any(
        _status(cause) in _BUSY
        or isinstance(cause, TimeoutError)
        or (isinstance(cause, OSError) and cause.errno in _PASSING)
        or type(cause).__name__ in _BROKEN
        or (_answered.is_set() and _is_unreached(cause))
        for cause in _causes(error)
    )


def _is_unreached(error: BaseException) -> bool:
    known = isinstance(error, OSError) and error.errno in _UNREACHED
    return known or type(error).__name__ in _NO_CONNECTION


def _reason(error: BaseException, waited: float) -> str:
    detail = " ".join(str(error).split()) or type(error).__name__
    causes = list(_causes(error))
    if _is_passing(error):
        return f"the store is busy, or does not answer, after {waited:.0f} s of pauses ({detail})"
    if any(isinstance(e, PermissionError) or _status(e) in _DENIED for e in causes):
        return f"access denied, look at the credentials and what they allow ({detail})"
    if any(type(e).__name__ == "NoCredentialsError" for e in causes):
        return f"there are no credentials for it ({detail})"
    if isinstance(error, FileNotFoundError):
        return (
            "there is no such bucket"
            if "bucket" in detail.lower()
            else "there is no such file or folder"
        )
    return detail
