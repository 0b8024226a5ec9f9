"""`ccsr serve`: pictures in the browser, enlarged as one zooms."""

import argparse
import os
import socket
import sys
from collections.abc import Sequence
from contextlib import suppress

from ccsr import terminal
from ccsr.cli import arguments, options


def parser() -> argparse.ArgumentParser:
    """What `ccsr serve` takes."""
    result = arguments.Parser(
        "ccsr serve",
        description="Open a page on this machine that zooms into pictures without steps and "
        "enlarges them. Nothing is sent anywhere; Ctrl-C ends it.",
        epilog="Example: ccsr serve photo.jpg",
    )
    add = result.add_argument
    add(
        "inputs", metavar="PICTURE|FOLDER", nargs="*", type=arguments.path,
        help="pictures to begin with; more can be dropped on the page",
    )  # fmt: skip
    add("--port", type=_port, default=0, metavar="N", help="where to listen; default: any free one")
    add(
        "--host", type=_host, default="127.0.0.1", metavar="ADDRESS",
        help="the address to listen at; any other than the default, 127.0.0.1, lets other machines "
        "in",
    )  # fmt: skip
    options.model(add, "auto", "; auto: light for clean pictures, photo for JPEG, WebP and noise")
    options.trust(add)
    options.device(add)
    options.precision(add)
    options.memory(add)
    options.limits(add)
    add("--no-browser", action="store_true", help="print the address and open no browser")
    options.debug(add)
    return result


def main(argv: Sequence[str]) -> int:
    """`ccsr serve [PICTURE|FOLDER ...] [options]`."""
    args = parser().parse_args(argv)

    from ccsr.web import guard, server
    from ccsr.web.entry import Limits

    if not guard.is_loopback(args.host):
        terminal.warn(
            f"{args.host} can be reached from other machines: who learns the "
            "address with its token sees all pictures, and the connection is not encrypted"
        )

    def ready(address: str) -> None:
        terminal.tell(f"{address}\nCtrl-C ends it")
        sys.stdout.flush()
        if not args.no_browser and _has_windows():
            server.open_page(address)

    chosen = options.given(args, ("device", "precision", "memory", "trust"))
    chosen["warn"] = terminal.warn
    server.run(
        args.inputs,
        host=args.host,
        port=args.port,
        model=args.model,
        options=chosen,
        limits=Limits(pixels=args.max_pixels, frames=args.max_frames),
        ready=ready,
    )
    return 0


def _host(text: str) -> str:
    """A name, or an address in full: `0` and `127.1` are some too."""
    text = text.strip().removeprefix("[").removesuffix("]")
    if not text:
        raise argparse.ArgumentTypeError("expected an address such as 127.0.0.1, got none")
    with suppress(OSError, UnicodeError):  # of names
        found = socket.getaddrinfo(text, None, flags=socket.AI_NUMERICHOST)
        return str(found[0][4][0])
    return text


def _port(text: str) -> int:
    if not text.isdecimal() or int(text) > 65535:
        raise argparse.ArgumentTypeError(f"expected a port from 0 to 65535, got {text!r}")
    return int(text)


def _has_windows() -> bool:
    """Whether a browser would open a window, instead of taking this terminal."""
    if sys.platform in ("win32", "darwin"):
        return True
    return bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))
