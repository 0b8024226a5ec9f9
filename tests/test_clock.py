import time

import pytest

from ccsr.clock import Clock, spelled


def test_durations():
    assert spelled(3 * 3600 + 62) == "3:01:02"
    assert spelled(0.4) == "0:00:00"
    assert spelled(float("inf")) == "?"


def test_the_rest_takes_as_long_as_its_share(monkeypatch: pytest.MonkeyPatch):
    now = [100.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    clock, resumed = Clock(), Clock(0.5)
    assert clock.left(0) == "?"
    now[0] += 30
    assert clock.left(0.25) == "0:01:30"
    assert clock.left(1) == "0:00:00"
    assert resumed.left(0.5) == "?"
    assert resumed.left(0.75) == "0:00:30"  # the first half took it no time
