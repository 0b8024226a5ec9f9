"""The life of `ccsr serve`, as a process of its own."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import urllib.request
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from ccsr.cli.main import main
from ccsr.web.guard import is_loopback
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


@pytest.mark.long
@pytest.mark.parametrize(
    "number", [signal.SIGINT, signal.SIGTERM, getattr(signal, "SIGHUP", signal.SIGTERM)]
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


@pytest.mark.long
def test_the_end_is_quiet_while_something_comes_and_goes(start, cat, network):
    server = start(cat, "--model", network)
    base, token = server.address.split("#")
    host = urlsplit(base).netloc
    view = {"picture": 1, "target": {"scale": [30, 30]}, "left": 0, "top": 0, "width": 6000}
    view |= {"height": 4500, "methods": ["bicubic", "lanczos"], "divider": 0, "tab": ""}
    lines = [socket.create_connection(host.split(":")) for _ in range(3)]
    for line, path, content in zip(
        lines,
        ("pictures", "view", "view"),
        (bytes(1000), b"{", json.dumps(view).encode()),
        strict=True,
    ):
        length = len(content) if content.endswith(b"}") else 1_000_000
        head = f"POST /api/{path} HTTP/1.1\r\nHost: {host}\r\nX-Token: {token}\r\n"
        line.sendall(f"{head}Content-Length: {length}\r\n\r\n".encode() + content)
    assert lines[2].recv(100)  # the view comes, and nobody reads on
    server.process.send_signal(signal.SIGINT)
    assert server.process.communicate(timeout=20) == ("", "")
    assert server.process.returncode == 0
    assert server.folders == []
    for line in lines:
        line.close()


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["nothing.png"], "no picture or folder at nothing.png"),
        (["--model", "lite"], "no model called 'lite': did you mean 'light'"),
        (["--host", "203.0.113.7"], "choose another --host, one of this machine"),
    ],
)
def test_what_cannot_be_served_is_refused(capsys, tmp_path, monkeypatch, words, sentence):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("signal.signal", lambda *given: None)
    assert main(["serve", "--no-browser", *words]) == 1
    assert sentence in capsys.readouterr().err


def test_what_the_options_allow_is_obeyed(monkeypatch, booklet):
    """The limit of frames, which was taken and not heard, and packages that are trusted."""
    monkeypatch.setattr("signal.signal", lambda *given: None)
    monkeypatch.setattr("ccsr.image.limits._frames", 10_000)
    monkeypatch.setattr("PIL.Image.MAX_IMAGE_PIXELS", None)
    seen = []

    def app(shelf, models, folder):
        shelf.take([booklet])
        seen.append((shelf.listed()[0].error, models.options["trust"]))
        raise KeyboardInterrupt

    monkeypatch.setattr("ccsr.web.server.App", app)
    assert main(["serve", "--no-browser", "--max-frames", "2", "--trust", "rdn"]) == 0
    assert main(["serve", "--no-browser", "--max-frames", "3"]) == 0
    assert seen[0][0].startswith("cannot read booklet.tif: it has more than 2 frames or pages")
    assert [trust for _, trust in seen] == [["rdn"], []]
    assert seen[1][0] == ""


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


@pytest.mark.parametrize(
    ("given", "heard"),
    [
        ("127.1", "127.0.0.1"),
        ("0", "0.0.0.0"),
        ("[::1]", "::1"),
        ("0:0:0:0:0:0:0:1", "::1"),
        (" localhost ", "localhost"),
        ("Studio.local", "Studio.local"),
        ("x" * 300, "x" * 300),
    ],
)
def test_addresses_are_spelled_in_one_way(monkeypatch, capsys, given, heard):
    hosts = []
    monkeypatch.setattr("ccsr.web.server.run", lambda given, **options: hosts.append(options))
    assert main(["serve", "--host", given]) == 0
    assert hosts[0]["host"] == heard
    assert ("other machines" in capsys.readouterr().err) is not is_loopback(heard)


@pytest.mark.parametrize("host", ["", " ", "[]"])
def test_no_address_is_refused(capsys, host):
    with pytest.raises(SystemExit):
        main(["serve", "--host", host])
    assert "expected an address such as 127.0.0.1, got none" in capsys.readouterr().err


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
