"""The life of `ccsr serve`, as a process of its own."""

import json
import os
import re
import signal
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest

from ccsr.cli.main import main
from ccsr.web.server import bind


class Process:
    """`ccsr serve` with a folder of its own for temporary files."""

    def __init__(self, temporary, *words):
        self.temporary = temporary
        temporary.mkdir()
        command = [sys.executable, "-m", "ccsr", "serve", "--no-browser", *map(str, words)]
        environment = os.environ | {"TMPDIR": str(temporary), "OMP_NUM_THREADS": "1"}
        self.process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment,
            cwd=Path(__file__).parents[2],
        )  # fmt: skip
        self.address, self.advice = (self.process.stdout.readline().strip() for _ in range(2))

    def ask(self, path, data=None):
        base, token = self.address.split("#")
        request = urllib.request.Request(f"{base}api/{path}", data, {"X-Token": token})
        with urllib.request.urlopen(request, timeout=10) as answer:
            return json.load(answer)

    @property
    def folders(self):
        return list(self.temporary.glob("ccsr-serve-*"))


@pytest.fixture
def start(tmp_path):
    started = []

    def begin(*words):
        started.append(Process(tmp_path / f"temporary-{len(started)}", *words))
        return started[-1]

    yield begin
    for each in started:
        each.process.kill()
        each.process.communicate(timeout=10)


@pytest.mark.parametrize(
    "number",
    [
        signal.SIGINT,
        pytest.param(signal.SIGTERM, marks=pytest.mark.long),
        pytest.param(getattr(signal, "SIGHUP", signal.SIGTERM), marks=pytest.mark.long),
    ],
)
def test_what_was_sent_is_gone_at_the_end(start, cat, number):
    server = start(cat)
    assert re.fullmatch(r"http://127\.0\.0\.1:\d+/#[\w-]{32}", server.address)
    assert server.advice == "Ctrl-C ends it"
    assert [each["name"] for each in server.ask("state")["pictures"]] == ["cat.png"]
    server.ask("pictures", cat.read_bytes())
    (folder,) = server.folders
    assert folder.stat().st_mode & 0o077 == 0  # nobody else may look into it
    assert [path.read_bytes() for path in folder.iterdir()] == [cat.read_bytes()]
    server.process.send_signal(number)
    assert server.process.communicate(timeout=20) == ("", "")
    assert server.process.returncode == 0
    assert server.folders == []
    assert cat.exists()


@pytest.mark.long
def test_the_end_does_not_wait_for_what_is_computed(start, cat, network):
    server = start(cat, "--model", network)
    common = {"pictures": [1], "target": {"scale": [60, 60]}, "model": network.name}
    server.ask("enlargements", json.dumps(common | {"output": {"format": "png"}}).encode())
    while not server.ask("state")["enlargements"][0]["items"][0]["share"]:
        pass
    server.process.send_signal(signal.SIGINT)
    server.process.communicate(timeout=20)
    assert server.process.returncode == 0
    assert server.folders == []


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["nothing.png"], "no picture or folder at nothing.png"),
        (["--model", "lite"], "no model called 'lite': did you mean 'light'"),
        (["--host", "203.0.113.7"], "cannot listen at 203.0.113.7 port 0"),
    ],
)
def test_what_cannot_be_served_is_refused(capsys, tmp_path, monkeypatch, words, sentence):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("signal.signal", lambda *given: None)
    assert main(["serve", "--no-browser", *words]) == 1
    assert sentence in capsys.readouterr().err


def test_a_port_that_is_taken_is_named():
    with bind("127.0.0.1", 0) as taken:
        port = taken.getsockname()[1]
        sentence = f"cannot listen at 127.0.0.1 port {port}: .*another --port"
        with pytest.raises(OSError, match=sentence):
            bind("127.0.0.1", port)


@pytest.mark.parametrize("port", ["-1", "65536", "http"])
def test_a_port_is_a_number(capsys, port):
    with pytest.raises(SystemExit):
        main(["serve", f"--port={port}"])
    assert "expected a port from 0 to 65535" in capsys.readouterr().err


def test_other_machines_are_let_in_with_a_warning(capsys, monkeypatch):
    monkeypatch.setattr("ccsr.web.server.run", lambda given, **options: None)
    assert main(["serve", "--host", "0.0.0.0"]) == 0
    assert "can be reached from other machines" in capsys.readouterr().err
    assert main(["serve"]) == 0
    assert capsys.readouterr().err == ""


def test_without_its_packages_the_extra_is_named(capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "starlette", None)
    for name in [name for name in sys.modules if name.startswith(("ccsr.web", "starlette."))]:
        monkeypatch.delitem(sys.modules, name)
    assert main(["serve"]) == 1
    assert "pip install 'ccsr[web]'" in capsys.readouterr().err
