"""A real S3 server on 127.0.0.1 for tests: moto's, from an environment of its own.

`.ci/run` makes it in `build/moto`: moto and s3fs ask for different releases of botocore.
"""

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from documents import ROOT

SECONDS = 900  # after which it ends by itself


def program() -> str | None:
    """The server's program, or None if there is none."""
    built = ROOT / "build" / "moto" / "bin" / "moto_server"
    found = os.environ.get("MOTO_SERVER") or shutil.which("moto_server")
    return found or (str(built) if built.exists() else None)


def environment(address: str) -> dict[str, str]:
    """What leads s3fs to the server."""
    return {
        "AWS_ENDPOINT_URL": address,
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_EC2_METADATA_DISABLED": "true",
    }


@contextmanager
def serving(log: Path) -> Iterator[str]:
    """Run the server; gives its address."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = ["timeout", str(SECONDS), program() or "", "-H", "127.0.0.1", "-p", str(port)]
    with log.open("wb") as stream:
        server = subprocess.Popen(command, stdout=stream, stderr=stream)
    try:
        for _ in range(300):
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            time.sleep(0.1)
        yield f"http://127.0.0.1:{port}"
    finally:
        server.terminate()
        server.wait(10)
