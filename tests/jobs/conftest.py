"""A store of objects in memory, which counts what is asked of it and fails when it is told to."""

import time
from collections.abc import Iterator

import pytest

from stores import Bucket, installed


@pytest.fixture
def bucket(monkeypatch: pytest.MonkeyPatch) -> Iterator[type[Bucket]]:
    monkeypatch.setattr(Bucket, "store", {})
    monkeypatch.setattr(Bucket, "pseudo_dirs", [""])
    monkeypatch.setattr(Bucket, "fail", staticmethod(lambda verb, key: None))
    Bucket.asked.clear()
    with installed("gs", Bucket):
        yield Bucket


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    found: list[float] = []
    monkeypatch.setattr(time, "sleep", found.append)
    return found
