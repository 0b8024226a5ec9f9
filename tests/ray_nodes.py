"""Ray's nodes on 127.0.0.2 and on: a network of their own, where the system allows, and a word."""

import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

PORT, CLIENTS = 6390, 10001
TRIES = 3  # of a node to start: Ray gives it 30 s, which a busy machine may exceed
SECONDS = 400  # after which all of it ends by itself


class Nodes:
    """A cluster; its processes see no other network than their own loopback.

    Args:
        folder: for what Ray writes, of a short name: sockets lie in it.
        paths: where its workers find modules.
    """

    def __init__(self, folder: Path, paths: str) -> None:
        self.env = os.environ | {
            "PYTHONPATH": paths,
            "RAY_AUTH_MODE": "token",
            "RAY_AUTH_TOKEN": secrets.token_hex(32),
            "RAY_USAGE_STATS_ENABLED": "0",
            "RAY_TMPDIR": str(folder),
            "OMP_NUM_THREADS": "1",
        }
        self._folder = folder
        self._prefix: list[str] = []
        self._started: list[subprocess.Popen[bytes]] = []
        if shutil.which("unshare") and shutil.which("nsenter"):
            words = ["unshare", "-n", "sh", "-c", f"ip link set lo up && sleep {SECONDS}"]
            holder = subprocess.Popen(words, stderr=subprocess.DEVNULL)
            time.sleep(0.5)
            if holder.poll() is None:
                self._started.append(holder)
                self._prefix = ["nsenter", f"--net=/proc/{holder.pid}/ns/net"]

    def command(self, *words: str) -> list[str]:
        """A command as it runs in that network, for a while at most."""
        return [*self._prefix, "timeout", str(SECONDS), *words]

    def start(self, number: int) -> subprocess.Popen[bytes]:
        """Start the node 127.0.0.`number`, with one processor; 2 is the head."""
        head = ["--head", f"--port={PORT}", f"--ray-client-server-port={CLIENTS}"]
        place = head if number == 2 else [f"--address=127.0.0.2:{PORT}"]
        program = str(Path(sys.executable).with_name("ray"))
        words = [program, "start", *place, f"--node-ip-address=127.0.0.{number}", "--num-cpus=1"]
        more = ["--include-dashboard=false"] if number == 2 else []
        log = self._folder / f"{number}.log"
        for _ in range(TRIES):
            with log.open("wb") as stream:
                node = subprocess.Popen(
                    self.command(*words, *more, "--block"),
                    env=self.env, stdout=stream, stderr=stream,
                )  # fmt: skip
            self._started.append(node)
            while node.poll() is None:
                if b"Ray runtime started" in log.read_bytes():
                    return node
                time.sleep(0.1)
        raise TimeoutError(log.read_text())

    @staticmethod
    def remove(node: subprocess.Popen[bytes]) -> None:
        """End a node as if its machine had lost its power."""
        for pid, name in _below(node.pid):
            if "raylet" in name:
                os.kill(pid, signal.SIGKILL)

    @staticmethod
    def kill(process: subprocess.Popen[str]) -> None:
        """End a command and what it started, at once."""
        for pid in (*(pid for pid, _ in _below(process.pid)), process.pid):
            os.kill(pid, signal.SIGKILL)
        process.communicate()

    def close(self) -> None:
        """End all that was started."""
        family = [pid for process in self._started for pid, _ in _below(process.pid)]
        for process in reversed(self._started):
            process.terminate()
        for process in self._started:
            try:
                process.wait(5)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        for pid in family:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue


def _below(top: int) -> list[tuple[int, str]]:
    """The processes that `top` started, and that these did, by number and name."""
    parents: dict[int, tuple[int, str]] = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            text = path.read_text()
        except OSError:
            continue
        name, _, rest = text.partition("(")[2].rpartition(")")
        parents[int(path.parent.name)] = int(rest.split()[1]), name
    found, wave = [], [top]
    while wave:
        wave = [pid for pid, (parent, _) in parents.items() if parent in wave]
        found += [(pid, parents[pid][1]) for pid in wave]
    return found


@contextmanager
def nodes(paths: str) -> Iterator[Nodes]:
    """A cluster to start nodes in; all of it ends with the block."""
    with short_folder() as folder:
        cluster = Nodes(folder, paths)
        try:
            yield cluster
        finally:
            cluster.close()


@contextmanager
def short_folder() -> Iterator[Path]:
    """A folder for Ray, whose sockets cannot have long paths."""
    with TemporaryDirectory(prefix="ray-", ignore_cleanup_errors=True) as name:
        yield Path(name)


@contextmanager
def mute() -> Iterator[str]:
    """The address of a server on 127.0.0.1 that takes calls and says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"127.0.0.1:{server.getsockname()[1]}"
