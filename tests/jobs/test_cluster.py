"""Two real nodes of Ray on loopback addresses give what one process gives, whatever dies."""

import json
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch
from PIL import Image

from ccsr.jobs import connection
from ccsr.model import build, checkpoint
from documents import ROOT
from ray_nodes import CLIENTS, PORT, Nodes, mute, nodes, short_folder

PICTURES = 24
FRAGILE = '''
import os, time

from torch import nn

from ccsr.model import CCLayer, Network
from ccsr.resample import resize


class Fragile(Network):
    """Takes its time, and ends its process when it sees red."""

    def __init__(self) -> None:
        super().__init__()
        self.channels, self.radius = 3, 2
        self.layer = CCLayer(3, 3, 3)

    def forward(self, x, grid, via=None):
        time.sleep(float(os.environ.get("PAUSE", 0)))
        if x[:, 0].min() > 0.99 and x[:, 1:].max() < 0.01:
            os._exit(1)
        return resize(x, grid) + 0.1 * self.layer(x, grid)
'''


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Pictures, one that ends its worker, one that is none; and what one process makes."""
    pytest.importorskip("ray")
    folder = tmp_path_factory.mktemp("run")
    (folder / "fragile.py").write_text(FRAGILE)
    sys.path.insert(0, str(folder))
    torch.manual_seed(0)
    model = build(network={"name": "fragile:Fragile"}, trust=["fragile"])
    sys.path.remove(str(folder))
    for weight in model.parameters():
        torch.nn.init.normal_(weight, std=0.1)
    checkpoint.save(folder / "fragile.safetensors", model, {"licence": "MIT"})
    (folder / "in" / "deep").mkdir(parents=True)
    for number in range(PICTURES):
        name = f"deep/{number}.png" if number % 3 else f"{number}.jpg"
        Image.effect_noise((30 + number, 20), 60).convert("RGB").save(folder / "in" / name)
    words = [sys.executable, "-m", "ccsr", *upscale("here")]
    env = {"PYTHONPATH": f"{ROOT}:{folder}", "OMP_NUM_THREADS": "1", "PATH": "/usr/bin:/bin"}
    subprocess.run(words, cwd=folder, env=env, check=True, capture_output=True)
    assert len(made(folder, "here")) == PICTURES
    Image.new("RGB", (16, 16), (255, 0, 0)).save(folder / "in" / "red.png")
    (folder / "in" / "broken.png").write_bytes(b"no picture")
    return folder


@pytest.fixture
def cluster(folder: Path) -> Iterator[Nodes]:
    with nodes(f"{ROOT}:{folder}") as started:
        started.env["PAUSE"] = "0.5"
        yield started


def upscale(output: str, *more: str) -> list[str]:
    words = ["upscale", "in", "-o", f"{output}/", "--recursive", "--scale", "2"]
    return [*words, "--model", "fragile.safetensors", "--trust", "fragile", *more]


def made(folder: Path, output: str) -> dict[str, bytes]:
    top = folder / output
    files = (path for path in top.rglob("*") if path.is_file())
    return {path.relative_to(top).as_posix(): path.read_bytes() for path in files}


def running(cluster: Nodes, folder: Path, *words: str) -> subprocess.Popen[str]:
    command = cluster.command(sys.executable, "-m", "ccsr", *words)
    pipe = subprocess.PIPE
    return subprocess.Popen(command, cwd=folder, env=cluster.env, stderr=pipe, text=True)


def wait_until(found: Callable[[], bool]) -> None:
    for _ in range(1200):
        if found():
            return
        time.sleep(0.05)
    raise TimeoutError


@pytest.mark.long
def test_what_dies_is_made_good(folder: Path, cluster: Nodes) -> None:
    cluster.start(2)
    other = cluster.start(3)
    address = ["--on", f"127.0.0.2:{PORT}"]
    run = running(cluster, folder, *upscale("one", *address, "--report", "one.jsonl"))
    wait_until(lambda: len(made(folder, "one")) >= 4)
    cluster.remove(other)
    _, text = run.communicate(timeout=300)
    assert run.returncode == 1, text
    assert made(folder, "one") == made(folder, "here")
    assert "cannot read in/broken.png: not an image of a known kind" in text
    assert (
        "cannot enlarge in/red.png: 3 workers died at it, the last with: Worker unexpected" in text
    )
    lines = [json.loads(line) for line in (folder / "one.jsonl").read_text().splitlines()]
    assert sorted(line["status"] for line in lines) == ["done"] * PICTURES + ["failed"] * 2
    assert len({line["source"] for line in lines}) == PICTURES + 2


@pytest.mark.long
def test_the_same_command_goes_on_after_the_end_of_the_driver(folder: Path, cluster: Nodes) -> None:
    """And it reaches the cluster by its server for clients; a node that comes later works too."""
    cluster.start(2)
    words = upscale("two", "--on", f"ray://127.0.0.2:{CLIENTS}", "--exists", "skip")
    run = running(cluster, folder, *words)
    wait_until(lambda: len(made(folder, "two")) >= 3)
    cluster.kill(run)
    cluster.start(3)
    again = running(cluster, folder, *words)
    _, text = again.communicate(timeout=300)
    assert again.returncode == 1, text
    skipped = re.match(r"skipping (\d+) pictures", text)
    assert skipped
    assert 3 <= int(skipped[1]) < PICTURES
    left = {name: data for name, data in made(folder, "two").items() if ".ccsr-" not in name}
    assert left == made(folder, "here")


@pytest.mark.long
def test_a_cluster_of_this_machine(folder: Path) -> None:
    """It is started, does everything anew, and is gone at the end."""
    env = {"PYTHONPATH": f"{ROOT}:{folder}", "PATH": "/usr/bin:/bin"}
    words = upscale("three", "--on", "ray", "--exists", "overwrite")
    with short_folder() as room:
        env |= {"HOME": str(room), "RAY_TMPDIR": str(room)}
        for _ in range(2):
            run = [sys.executable, "-m", "ccsr", *words]
            done = subprocess.run(
                run, cwd=folder, env=env, capture_output=True, text=True, timeout=200, check=False
            )
            assert done.returncode == 1, done.stderr
            assert done.stderr.count("ccsr: error: cannot") == 2
            assert made(folder, "three") == made(folder, "here")
        said = [path.read_text() for path in room.rglob("monitor*.log")]
        assert said
        assert not [text for text in said if "usage report" in text.lower()], "nothing is sent"


@pytest.mark.long
def test_a_cluster_that_is_not_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("ray")
    monkeypatch.setattr(connection, "SECONDS", 5)
    with mute() as address:
        started = time.monotonic()
        with (
            pytest.raises(RuntimeError, match=rf"at {address} does not answer within 5 s"),
            connection.connected(address),
        ):
            pass
        assert time.monotonic() - started < 15


def test_addresses(monkeypatch: pytest.MonkeyPatch) -> None:
    for text in ("ray", "ray://head:10001", "10.0.0.1:6379"):
        assert connection.check(text) == text
    for text in ("", "rey", "http://head:1", "ray://head", "head"):
        with pytest.raises(ValueError, match="expected ray, which starts a cluster on this mach"):
            connection.check(text)
    monkeypatch.setitem(sys.modules, "ray", None)
    with (
        pytest.raises(RuntimeError, match=r"the package ray, .*pip install 'ccsr\[ray\]'"),
        connection.connected("ray"),
    ):
        pass


def test_statistics_are_off_unless_they_were_turned_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("RAY_USAGE_STATS_ENABLED", "RAY_AUTH_MODE"):
        monkeypatch.delenv(name, raising=False)
    file = tmp_path / "config.json"
    monkeypatch.setenv("RAY_USAGE_STATS_CONFIG_PATH", str(file))
    for text in (None, "", "[]", '{"usage_stats": false}'):
        if text is not None:
            file.write_text(text)
        assert connection._settings("ray")["RAY_USAGE_STATS_ENABLED"] == "0"
    file.write_text('{"usage_stats": true}')
    assert "RAY_USAGE_STATS_ENABLED" not in connection._settings("ray")
    file.unlink()
    monkeypatch.setenv("RAY_USAGE_STATS_ENABLED", "1")
    assert connection._settings("ray")["RAY_USAGE_STATS_ENABLED"] == "1"
    words = [connection._settings("ray")["RAY_AUTH_TOKEN"] for _ in range(2)]
    assert len(set(words)) == 2
    assert "RAY_AUTH_TOKEN" not in connection._settings("head:6379")
