"""The server's life: a folder, a token, a port; until Ctrl-C."""

import asyncio
import errno
import secrets
import signal
import socket
import tempfile
import webbrowser
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import uvicorn

from ccsr import image
from ccsr.web.app import App
from ccsr.web.entry import Limits
from ccsr.web.guard import Guard, host_shown
from ccsr.web.models import Models
from ccsr.web.shelf import Shelf

GRACE = 2  # seconds that what is being sent may take when the server ends
LEAVING = 1  # seconds that the handlers of connections that were cut then may take


class Server(uvicorn.Server):
    """Ends the work of an app with itself, so that nothing keeps on sending."""

    def __init__(self, app: App, guard: Guard) -> None:
        super().__init__(
            uvicorn.Config(
                guard,
                http="h11",
                ws="none",
                lifespan="off",
                log_config=None,
                log_level="error",  # not each request that is none, which anyone here can send
                access_log=False,
                server_header=False,
                proxy_headers=False,
                timeout_graceful_shutdown=GRACE + LEAVING,
            )
        )
        self.held = app

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """See uvicorn."""
        self.held.worker.stop()
        cut = asyncio.get_running_loop().call_later(GRACE, self._cut)
        await super().shutdown(sockets)
        cut.cancel()

    def _cut(self) -> None:
        """End what still comes or goes, as if the browser had left."""
        for connection in list(self.server_state.connections):
            connection.transport.abort()


def run(
    given: Sequence[Path],
    *,
    host: str,
    port: int,
    model: str,
    options: Mapping[str, Any],
    limits: Limits,
    ready: Callable[[str], None],
) -> None:
    """Serve the page with the given pictures until Ctrl-C or the end of the terminal.

    Args:
        given: files, and folders of pictures.
        host: the address to listen at.
        port: the port to listen at; 0 for any that is free.
        model: name or file of the network that is shown first.
        options: of all networks.
        limits: of the session.
        ready: gets the address of the page, with the token, once it can be opened.

    Raises:
        OSError: if the port is taken, or a picture is not there.
        ValueError: for an unknown model.
    """
    with (
        image.steady_warnings(),
        tempfile.TemporaryDirectory(prefix="ccsr-serve-", ignore_cleanup_errors=True) as name,
        suppress(KeyboardInterrupt),
    ):
        # Without this, a `kill` or a closed terminal would leave the folder behind.
        signal.signal(signal.SIGTERM, signal.default_int_handler)
        if hasattr(signal, "SIGHUP"):  # uvicorn takes SIGTERM and lets the loop end in peace
            signal.signal(signal.SIGHUP, lambda *given: signal.raise_signal(signal.SIGTERM))
        image.limit_pixels(limits.pixels)
        image.limit_frames(limits.frames)
        app = App(Shelf(Path(name), limits), Models(model, options), Path(name))
        app.shelf.take(given)
        with bind(host, port) as listener:
            port = listener.getsockname()[1]
            token = secrets.token_urlsafe(24)
            server = Server(app, Guard(app.asgi(), token, host, port))
            app.start()
            try:
                ready(f"http://{host_shown(host)}:{port}/#{token}")
                server.run([listener])
            finally:
                app.worker.stop()


def bind(host: str, port: int) -> socket.socket:
    """A socket that listens.

    Raises:
        OSError: if there is no such address here, or the port is taken.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.listen(128)
    except OSError as error:
        listener.close()
        taken = error.errno in (errno.EADDRINUSE, errno.EACCES)
        other = "port, or none for any that is free" if taken else "host, one of this machine"
        raise OSError(
            f"cannot listen at {host} port {port}: {error.strerror or error}: choose another "
            f"--{other}"
        ) from error
    return listener


def open_page(address: str) -> None:
    """Show the page in the person's browser, where there is one with windows."""
    with suppress(webbrowser.Error):
        webbrowser.get().open(address)
