"""The page and what it asks the server for."""

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from dataclasses import replace
from functools import partial
from importlib.resources import files
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from ccsr.image import CHOICES
from ccsr.web import downloads, requests
from ccsr.web.enlarging import Enlargement
from ccsr.web.entry import LimitError
from ccsr.web.models import Models
from ccsr.web.shelf import Shelf
from ccsr.web.views import FIXED, Views, encode_end
from ccsr.web.worker import Worker

LARGEST_REQUEST = 1 << 18  # bytes, of all but pictures
_TYPES = {
    ".html": "text/html",
    ".css": "text/css",
    ".js": "text/javascript",
    ".svg": "image/svg+xml",
}
_EXPECTED = (ValueError, OSError, RuntimeError)  # their text is a sentence for a person
_log = logging.getLogger(__name__)


class App:
    """What one server holds: pictures, networks, the worker, enlargements.

    Args:
        shelf: the pictures.
        models: the networks.
        folder: for the results of enlargements.
    """

    def __init__(self, shelf: Shelf, models: Models, folder: Path) -> None:
        self.shelf = shelf
        self.models = models
        self.folder = folder
        self.views = Views(shelf, models)
        self.worker = Worker()
        self.enlargements: dict[int, Enlargement] = {}
        self._numbers = 0
        self._measured: set[str] = set()
        self._tickets = downloads.Tickets()
        found = files("ccsr.web").joinpath("page").iterdir()
        # without what editors and systems leave in folders
        self._page = {path.name: path for path in found if Path(path.name).suffix in _TYPES}

    def start(self) -> None:
        """Begin to compute; where nobody waits, to measure how fast the default network is.

        Raises:
            OSError: if the default network cannot be read.
            ValueError: if it is not sound.
        """
        self.models.upscaler(self.models.default)
        self.worker.start()
        self._measure(self.models.default)

    def asgi(self) -> Starlette:
        """The application that a server runs; it is to be guarded."""
        routes = [
            Route("/api/state", self._state),
            Route("/api/pictures", self._receive, methods=["POST"]),
            Route("/api/pictures/{number:int}", self._forget_picture, methods=["DELETE"]),
            Route("/api/pictures/{number:int}/frames", self._frame, methods=["POST"]),
            Route("/api/size", self._size, methods=["POST"]),
            Route("/api/view", self._view, methods=["POST"]),
            Route("/api/enlargements", self._enlarge, methods=["POST"]),
            Route("/api/enlargements/{number:int}", self._cancel, methods=["POST"]),
            Route("/api/enlargements/{number:int}", self._forget, methods=["DELETE"]),
            Route("/api/tickets", self._ticket, methods=["POST"]),
            Route("/download/{ticket}", self._download),
            Route("/", self._file),
            Route("/{name}", self._file),
        ]
        handlers: dict[Any, Any] = {Exception: _failed, HTTPException: _refused}
        handlers |= dict.fromkeys(_EXPECTED, _failed) | {ClientDisconnect: _left}
        return Starlette(routes=routes, exception_handlers=handlers)

    async def _file(self, request: Request) -> Response:
        name = request.path_params.get("name", "index.html")
        if name not in self._page:
            raise HTTPException(404, "there is no such page")
        content = self._page[name].read_bytes()
        return Response(content, media_type=_TYPES[Path(name).suffix])

    async def _state(self, request: Request) -> Response:
        self._measure(request.query_params.get("model", ""))
        pace = self.models.pace
        networks = [
            {
                "name": name,
                "pace": [pace[name].inputs, pace[name].outputs] if name in pace else None,
            }
            for name in self.models.names
        ]
        return JSONResponse(
            {
                "pictures": [entry.json for entry in self.shelf.listed()],
                "enlargements": [each.json for each in self.enlargements.values()],
                "fixed": list(FIXED),
                "models": networks,
                "formats": [*CHOICES[1:], "webp lossless", CHOICES[0]],
                "busy": self.worker.busy,
                "largest": self.shelf.limits.sent,
            }
        )

    async def _receive(self, request: Request) -> Response:
        length = request.headers.get("content-length", "")
        # of a body in chunks the length that the header tells is not the one that comes
        if not length.isdecimal() or "transfer-encoding" in request.headers:
            raise HTTPException(411, "a picture is sent with its Content-Length, in one piece")
        entry = self.shelf.reserve(int(length), unquote(request.headers.get("x-name", "")))
        try:
            with entry.path.open("wb") as file:
                async for chunk in request.stream():
                    file.write(chunk)
            entry = await run_in_threadpool(self.shelf.put, entry)
        except BaseException as error:
            self.shelf.remove(entry.number)
            if isinstance(error, OSError):
                raise OSError(f"cannot keep {entry.name}: {error.strerror or error}") from error
            raise
        return JSONResponse(entry.json)

    async def _forget_picture(self, request: Request) -> Response:
        self.shelf.remove(request.path_params["number"])
        self.worker.later(self.views.tidy)
        return Response(status_code=204)

    async def _frame(self, request: Request) -> Response:
        fields = await _json(request, "frame")
        frame = requests.whole(fields.get("frame"), "frame", 1)
        entry = await run_in_threadpool(self.shelf.frame, request.path_params["number"], frame)
        return JSONResponse(entry.json)

    async def _size(self, request: Request) -> Response:
        """What a person types for a size: factors and pixels, or what is wrong with it."""
        fields = await _json(request, "picture", "text")
        entry = self.shelf.find(fields.get("picture"))
        wanted = {"text": str(fields.get("text"))}
        try:
            target = requests.target(wanted)
            (height, width), (h, w) = target.size(entry.size), entry.size
        except ValueError as error:
            return JSONResponse({"error": str(error)})
        if target.scale:
            return JSONResponse({"sx": target.scale[1], "sy": target.scale[0]})
        place = {"sx": width / w, "sy": height / h, "size": [height, width]}
        return JSONResponse(place | {"target": wanted})

    async def _view(self, request: Request) -> Response:
        fields = await _json(request, *requests.VIEW)
        view = requests.view(fields)
        self.views.check(view)
        loop, queue = asyncio.get_running_loop(), asyncio.Queue[Any]()

        def deliver(item: Any) -> None:
            with suppress(RuntimeError):  # the loop is closed, as the server ends
                loop.call_soon_threadsafe(queue.put_nowait, item)

        drop = self.worker.show(str(fields.get("tab")), self.views.tiles(view), deliver)
        return StreamingResponse(_sent(queue, drop), media_type="application/octet-stream")

    async def _enlarge(self, request: Request) -> Response:
        fields = await _json(request, "pictures", "frame", "output", "target", "model")
        numbers = fields.get("pictures")
        if not isinstance(numbers, list) or not numbers:
            raise ValueError("there is no picture to enlarge: choose some first")
        if sum(each.running for each in self.enlargements.values()) >= self.shelf.limits.jobs:
            raise LimitError("too many enlargements wait already: cancel some")
        found = [self.shelf.find(number) for number in numbers]
        entries = list({entry.number: entry for entry in found}.values())
        if fields.get("frame") is not None:
            frame = requests.whole(fields["frame"], "frame", 1)
            picked = [partial(self.shelf.frame, entry.number, frame) for entry in entries]
            entries = [await run_in_threadpool(pick) for pick in picked]
        wish = requests.wish(fields.get("target"))
        self._numbers += 1
        folder = self.folder / f"results-{self._numbers}"
        enlargement = Enlargement(
            self._numbers,
            entries,
            wish.target,
            self.models.check(fields.get("model")),
            replace(requests.output(fields.get("output")), dpi=wish.dpi),
            self.models,
            folder,
        )
        self.enlargements[self._numbers] = enlargement
        self.worker.later(lambda: enlargement.run(self.worker.breathe))
        return JSONResponse(enlargement.json)

    async def _cancel(self, request: Request) -> Response:
        self._enlargement(request.path_params["number"]).cancel()
        return Response(status_code=204)

    async def _forget(self, request: Request) -> Response:
        enlargement = self._enlargement(request.path_params["number"])
        enlargement.cancel()
        del self.enlargements[enlargement.number]
        self.worker.later(enlargement.release)  # after the worker has left it
        return Response(status_code=204)

    def _enlargement(self, number: Any) -> Enlargement:
        if type(number) is not int or number not in self.enlargements:
            raise ValueError("there is no such enlargement any more")
        return self.enlargements[number]

    async def _ticket(self, request: Request) -> Response:
        fields = await _json(request, "enlargement", "item")
        enlargement = self._enlargement(fields.get("enlargement"))
        answer = partial(downloads.results, enlargement)
        if "item" in fields:
            last = len(enlargement.items) - 1
            number = requests.whole(fields["item"], "item", 0, last)
            answer = partial(downloads.result, enlargement, number)
        return JSONResponse({"url": f"/download/{self._tickets.give(answer)}"})

    async def _download(self, request: Request) -> Response:
        if request.method != "GET":  # a HEAD would use the link up
            raise HTTPException(405, "Method Not Allowed", {"Allow": "GET"})
        return self._tickets.take(request.path_params["ticket"])

    def _measure(self, name: str) -> None:
        if name in self._measured or name not in self.models.names:
            return
        self._measured.add(name)

        def measure() -> None:
            with suppress(*_EXPECTED):  # who uses it is told then
                self.models.measure(name)

        self.worker.later(measure)


async def _sent(queue: "asyncio.Queue[Any]", drop: Callable[[], None]) -> AsyncIterator[bytes]:
    """What the worker delivers, as bytes; a browser that goes away ends the work."""
    error = ""
    try:
        while (item := await queue.get()) is not None:
            if isinstance(item, Exception):
                error = _sentence(item)
            else:
                yield item.encode()
        yield encode_end(error)
    finally:
        drop()


async def _json(request: Request, *names: str) -> dict[str, Any]:
    """The fields of a request, of these names only."""
    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > LARGEST_REQUEST:
            raise LimitError(f"a request has at most {LARGEST_REQUEST} bytes")
    try:
        fields = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise ValueError("expected an object of JSON, got something that is none") from error
    return requests.known(fields, "this request", *names)


def _sentence(error: Exception) -> str:
    if isinstance(error, OSError) and error.strerror:  # its text may name a path of this machine
        return error.strerror
    if isinstance(error, _EXPECTED) and str(error):
        return str(error)
    _log.error("the page was told of this", exc_info=error)
    return f"something went wrong here: {type(error).__name__} {error}".strip()


async def _failed(request: Request, error: Exception) -> Response:
    status = 413 if isinstance(error, LimitError) else 400
    return JSONResponse(
        {"error": _sentence(error)}, status if isinstance(error, _EXPECTED) else 500
    )


async def _refused(request: Request, error: HTTPException) -> Response:
    return JSONResponse({"error": error.detail}, error.status_code, error.headers)


async def _left(request: Request, error: Exception) -> Response:
    """For a browser that went away in the middle of what it sent: nobody reads it."""
    return Response(status_code=400)
