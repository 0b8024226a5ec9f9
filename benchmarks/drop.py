"""How soon the server of `ccsr serve` shows a picture that is dropped on the page."""

import http.client
import io
import json
import os
import re
import struct
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks import cases

SIDE = 1000  # of the picture and of the view
FLOOR = 0.15  # seconds
HEADER = struct.Struct("<5I")  # of a part of a view


def measure(rounds: int, say: Callable[[str], None]) -> dict[str, Any]:
    """Times over rounds, each with a picture that the server has not seen.

    Returns:
        Medians of the seconds from the first byte of a JPEG that is sent until it is `received`,
        and until the last of its bicubic view of `SIDE` x `SIDE` pixels is `seen`; and the seconds
        of the `processor` that the server took for one, which other work hardly changes.
    """
    data = io.BytesIO()
    cases.photo((SIDE, SIDE)).save(data, "JPEG", quality=92)
    words = [sys.executable, "-m", "ccsr", "serve", "--no-browser", "--port", "0"]
    server = subprocess.Popen(words, stdout=subprocess.PIPE, text=True)
    try:
        assert server.stdout is not None
        match = re.search(r"http://(127[.\d]+):(\d+)/#(\S+)", server.stdout.readline())
        if match is None:
            raise RuntimeError("expected the address of the page, got another line")
        connection = http.client.HTTPConnection(match[1], int(match[2]), timeout=60)
        token = {"X-Token": match[3]}
        _drop(connection, token, data.getvalue())  # the first sets things up
        before = _processor(server.pid)
        times = [_drop(connection, token, data.getvalue()) for _ in range(rounds)]
        processor = (_processor(server.pid) - before) / rounds
    finally:
        server.terminate()
        server.wait()
    received, seen = (median(each) for each in zip(*times, strict=True))
    say(f"seen after {1e3 * seen:.0f} ms, {1e3 * processor:.0f} ms of the processor")
    found = {"received": received, "seen": seen, "processor": processor}
    return {"rounds": rounds, "drop": found}


def _processor(process: int) -> float:
    """Seconds that a process has had of the processor; Linux only."""
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _drop(
    connection: http.client.HTTPConnection, token: dict[str, str], data: bytes
) -> tuple[float, float]:
    """Seconds until the picture is received, and until it is seen."""
    started = time.perf_counter()
    connection.request("POST", "/api/pictures", data, token | {"X-Name": "photo.jpg"})
    picture = json.loads(connection.getresponse().read())
    received = time.perf_counter() - started
    window = {"left": 0, "top": 0, "width": SIDE, "height": SIDE, "divider": 0}
    view = {"tab": "1", "picture": picture["id"], "methods": ["bicubic", "bicubic"]}
    view |= {"target": {"scale": [1, 1]}, **window}
    connection.request("POST", "/api/view", json.dumps(view), token)
    answer, pixels = connection.getresponse(), 0
    while pixels < SIDE * SIDE:
        *_, width, height = HEADER.unpack(answer.read(HEADER.size))
        answer.read(4 * width * height)
        pixels += width * height
    seen = time.perf_counter() - started
    answer.read()
    return received, seen


def section(found: dict[str, Any]) -> Iterator[str]:
    """Lines of RESULTS.md."""
    received, seen, own = (
        f"{1e3 * found['drop'][key]:.0f}" for key in ("received", "seen", "processor")
    )
    met = "yes" if found["drop"]["seen"] <= FLOOR else "**no**"
    yield f"Medians of {found['rounds']} rounds, for a JPEG of {SIDE}x{SIDE} pixels that is dropped"
    yield f"on the page: {received} ms until the server has it, {seen} ms until its bicubic view is"
    yield f"sent; at most {1e3 * FLOOR:.0f} ms wanted: {met}. Of the processor it took {own} ms."
