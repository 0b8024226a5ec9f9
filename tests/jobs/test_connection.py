"""Reaching a cluster of Ray, what cannot be asked of one, and what its workers are given."""

import sys
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Never

import pytest

from ccsr import __version__, image
from ccsr.cli import upscale_options
from ccsr.jobs import connection
from ccsr.jobs.cluster import STILLBORN, Cluster, _Hand
from ccsr.jobs.target import Target
from ccsr.jobs.worker import Hello, Recipe
from ccsr.model import checkpoint
from networks import tiny
from ray_nodes import mute


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


def test_a_cluster_that_cannot_be_started(monkeypatch: pytest.MonkeyPatch) -> None:
    class Ray:
        """Fails as Ray does where a machine is too busy."""

        tries = 0

        def init(self, **options: object) -> None:
            self.tries += 1
            raise Exception("The current node timed out\nduring startup.")

        def shutdown(self) -> None:
            pass

    stub = Ray()
    monkeypatch.setitem(sys.modules, "ray", stub)
    with (
        pytest.raises(RuntimeError, match=r"no cluster can be .*: The current node timed out duri"),
        connection.connected("ray"),
    ):
        pass
    assert stub.tries == 2


def test_what_a_cluster_cannot_do(tmp_path: Path) -> None:
    for words, sentence in (
        (["-", "-o", "a.png"], "a cluster cannot reach standard input or output"),
        (["a.png", "-o", "memory://b/"], "memory:// is the memory of one process"),
        (["a.png", "--device", "mps"], "say --device auto, cpu or cuda"),
    ):
        args = upscale_options.parser().parse_args([*words, "--scale", "2", "--on", "ray"])
        with pytest.raises(ValueError, match=sentence):
            upscale_options.check(args, refuse)


def refuse(text: str) -> Never:
    raise ValueError(text)


def test_the_model_goes_to_the_workers_as_it_is_here(tmp_path: Path) -> None:
    rest = (Target(scale=(2.0, 2.0)), image.DEFAULT, 10, 10)
    checkpoint.save(tmp_path / "mine.safetensors", tiny(None), {"licence": "MIT"})
    recipe = Recipe.of(str(tmp_path / "mine.safetensors"), (), {}, *rest)
    assert recipe.model == "mine.safetensors"
    assert recipe.weights == (tmp_path / "mine.safetensors").read_bytes()
    assert Recipe.of("auto", (), {}, *rest).weights is None
    shipped = Recipe.of("light", (), {"engine": "onnx"}, *rest)
    assert (shipped.model, shipped.options) == ("light", {"engine": "onnx", "device": "cpu"})
    with pytest.raises(ValueError, match="no model called 'lihgt': did you mean 'light'"):
        Recipe.of("lihgt", (), {}, *rest)


def test_workers_that_cannot_begin() -> None:
    killed: list[object] = []
    ray = SimpleNamespace(put=lambda recipe: None, kill=killed.append)
    recipe = Recipe("light", None, (), {}, Target(scale=(2.0, 2.0)), image.DEFAULT, 10, 10)
    cluster = Cluster(ray, recipe, pytest.fail)

    def greet(hello: Hello) -> None:
        hand = _Hand(object(), False, None)
        cluster._hands.append(hand)
        cluster._greet(hand, hello)

    for error in ("", *["no room"] * (2 * STILLBORN), "", *["no room"] * (STILLBORN - 1)):
        greet(Hello(__version__, error, "node"))  # while others work
    assert len(killed) == 3 * STILLBORN - 1
    assert len(cluster._hands) == 2
    cluster._hands.clear()
    with pytest.raises(RuntimeError, match=r"5 workers .* cannot begin, the last since: no memo"):
        greet(Hello(__version__, "no memory", "node"))
    with pytest.raises(RuntimeError, match=r"has ccsr 0\.0\.0, and this is .*: install the same"):
        greet(Hello("0.0.0", "", "node"))


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
