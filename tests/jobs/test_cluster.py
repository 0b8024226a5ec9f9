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

from ccsr.model import build, checkpoint
from documents import ROOT
from ray_nodes import CLIENTS, PORT, Nodes, nodes, short_folder
from s3_server import environment, program, serving

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
    """All outputs, but what a process that died was writing."""
    top = folder / output
    files = (path for path in top.rglob("*") if path.is_file() and path.suffix != ".part")
    return {path.relative_to(top).as_posix(): path.read_bytes() for path in files}


def check(found: dict[str, bytes], folder: Path, text: str) -> None:
    """The outputs are those of one process; `text` is what was said about them."""
    expected = made(folder, "here")
    assert sorted(found) == sorted(expected), text
    assert not [name for name in found if found[name] != expected[name]], text


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
    check(made(folder, "one"), folder, text)
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
    check(made(folder, "two"), folder, text)


def on_this_machine(folder: Path, room: Path, *words: str, **more: str) -> str:
    """What `--on ray` says of a run that fails at some pictures."""
    env = {"PYTHONPATH": f"{ROOT}:{folder}", "PATH": "/usr/bin:/bin", **more}
    env |= {"HOME": str(room), "RAY_TMPDIR": str(room)}
    command = [sys.executable, "-m", "ccsr", *words, "--on", "ray"]
    done = subprocess.run(
        command, cwd=folder, env=env, capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 1, done.stderr
    return done.stderr


@pytest.mark.long
@pytest.mark.skipif(program() is None, reason="no moto_server: .ci/run says how to make one")
def test_a_bucket_is_done_by_a_cluster(folder: Path, tmp_path: Path) -> None:
    s3fs = pytest.importorskip("s3fs")
    with serving(tmp_path / "server.log") as address, short_folder() as room:
        files = s3fs.S3FileSystem(endpoint_url=address, key="test", secret="test")
        files.mkdir("bucket")
        files.put(str(folder / "in"), "bucket/in", recursive=True)
        words = upscale("s3://bucket/out", "--report", "s3://bucket/run.jsonl")
        words[1] = "s3://bucket/in/"
        text = on_this_machine(folder, room, *words, **environment(address))
        assert "cannot read s3://bucket/in/broken.png: not an image of a known kind" in text
        assert "cannot enlarge s3://bucket/in/red.png: 3 workers died at it" in text
        keys = files.find("bucket/out")
        there = {key.removeprefix("bucket/out/"): files.cat_file(key) for key in keys}
        check(there, folder, text)
        assert len(files.cat_file("bucket/run.jsonl").splitlines()) == PICTURES + 2


@pytest.mark.long
def test_a_cluster_of_this_machine(folder: Path) -> None:
    """It is started, does everything anew, and is gone at the end."""
    for name in made(folder, "here"):  # as an earlier run left them
        (folder / "three" / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / "three" / name).write_bytes(b"old")
    with short_folder() as room:
        text = on_this_machine(folder, room, *upscale("three", "--exists", "overwrite"))
        assert text.count("ccsr: error: cannot") == 2
        check(made(folder, "three"), folder, text)
        said = [path.read_text() for path in room.rglob("monitor*.log")]
        assert said
        assert not [text for text in said if "usage report" in text.lower()], "nothing is sent"
