"""Who may talk to the server: pages of its own, opened by who knows the token."""

import hmac
import ipaddress
from collections.abc import Sequence

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

TOKEN = "x-token"  # header with the token
_LOOPBACK = ("127.0.0.1", "localhost", "[::1]")
_POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self'",
        "connect-src 'self'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
    )
)
_HEADERS = {
    "Content-Security-Policy": _POLICY,
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-store",
}


class Guard:
    """Refuses foreign hosts (403) and requests to `/api` without the token (401).

    A page of another site can reach a server on this machine through a name that it resolves
    itself; then the Host header has that name.

    Args:
        app: what is guarded.
        token: that the page sends in a header, which no other site can read or guess.
        host: the address that the server listens at.
        port: the port that it listens at.
    """

    def __init__(self, app: ASGIApp, token: str, host: str, port: int) -> None:
        self.app = app
        self.token = token
        self.port = port
        self.names = allowed_names(host)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or answer it."""
        if scope["type"] != "http":
            return

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(_HEADERS)
            await send(message)

        headers = Headers(scope=scope)
        app = self.app
        if not self._is_ours(headers.get("host", "")):
            app = JSONResponse({"error": "this host is not served here"}, 403)
        elif scope["path"].startswith("/api/"):
            given = headers.get(TOKEN, "").encode()
            if not hmac.compare_digest(given, self.token.encode()):
                sentence = "the address lacks its token: open the one that ccsr serve printed"
                app = JSONResponse({"error": sentence}, 401)
        await app(scope, receive, with_headers)

    def _is_ours(self, host: str) -> bool:
        name, colon, port = host.rpartition(":")
        if not colon or port != str(self.port):
            return self.port == 80 and self._named(host)
        return self._named(name)

    def _named(self, name: str) -> bool:
        return name.lower() in self.names or ("*" in self.names and _is_address(name))


def allowed_names(host: str) -> Sequence[str]:
    """Names by which a server that listens at `host` may be called; `*` is any IP address."""
    every = _is_address(host) and ipaddress.ip_address(host).is_unspecified
    return (*_LOOPBACK, "*" if every else host_shown(host).lower())


def host_shown(host: str) -> str:
    """How the address of a page spells the `host` that its server listens at."""
    if not _is_address(host):
        return host
    address = ipaddress.ip_address(host)
    if address.is_unspecified:  # everywhere, so here too
        return "[::1]" if address.version == 6 else "127.0.0.1"
    return f"[{address}]" if address.version == 6 else host


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach a server that listens at `host`."""
    if host.lower() == "localhost":
        return True
    return _is_address(host) and ipaddress.ip_address(host).is_loopback


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name.strip("[]"))
    except ValueError:
        return False
    return True
