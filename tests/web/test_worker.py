"""The worker's order: newest views, one step of each tab in turn, before and between jobs."""

import queue
import threading

import pytest

from ccsr.web.worker import Stopped, Worker

SECONDS = 10


@pytest.fixture
def worker():
    made = Worker()
    made.start()
    yield made
    made.stop()


class Steps:
    """Steps of a view that wait until they are let through; `log` has the names of those taken."""

    def __init__(self, name, count, log):
        self.name, self.count, self.log = name, count, log
        self.begun, self.go = threading.Event(), threading.Event()

    def __iter__(self):
        for number in range(self.count):
            self.begun.set()
            assert self.go.wait(SECONDS)
            self.log.append(self.name)
            yield number


def ended(results):
    """What was delivered up to the end."""
    return list(iter(lambda: results.get(timeout=SECONDS), None))


def test_a_newer_view_takes_the_place_of_an_older_one(worker):
    log, first, second = [], queue.Queue(), queue.Queue()
    old, new = Steps("old", 100, log), Steps("new", 3, log)
    worker.show("tab", iter(old), first.put)
    assert old.begun.wait(SECONDS)
    worker.show("tab", iter(new), second.put)
    assert ended(first) == []  # before its step is done
    old.go.set()
    new.go.set()
    assert ended(second) == [0, 1, 2]
    assert log == ["old", "new", "new", "new"]
    assert first.empty()


def test_tabs_take_turns(worker):
    log, results = [], [queue.Queue(), queue.Queue()]
    views = [Steps(name, 3, log) for name in "ab"]
    for view, result in zip(views, results, strict=True):
        worker.show(view.name, iter(view), result.put)
    for view in views:
        view.go.set()
    assert [ended(result) for result in results] == [[0, 1, 2], [0, 1, 2]]
    assert "".join(log) == "ababab"


def test_a_view_that_nobody_waits_for_ends_after_its_step(worker):
    log, results = [], queue.Queue()
    steps = Steps("gone", 100, log)
    drop = worker.show("tab", iter(steps), results.put)
    assert steps.begun.wait(SECONDS)
    drop()
    steps.go.set()
    later = queue.Queue()
    worker.show("other", iter([1]), later.put)
    assert ended(later) == [1]
    assert log == ["gone"]


def test_views_pass_a_job_at_each_breath(worker):
    log, results, begun, shown = [], queue.Queue(), threading.Event(), threading.Event()

    def job():
        log.append("begins")
        begun.set()
        assert shown.wait(SECONDS)
        worker.breathe()
        log.append("ends")
        results.put(None)

    worker.later(job)
    assert begun.wait(SECONDS)
    view = Steps("view", 2, log)
    view.go.set()
    worker.show("tab", iter(view), results.put)
    shown.set()
    assert ended(results) == [0, 1]
    assert ended(results) == []
    assert log == ["begins", "view", "view", "ends"]


def test_an_error_is_delivered_and_the_worker_goes_on(worker):
    def fails():
        yield 1
        raise ValueError("broken")

    results = queue.Queue()
    worker.show("tab", fails(), results.put)
    first, second = ended(results)
    assert first == 1
    assert isinstance(second, ValueError)
    worker.show("tab", iter([2]), results.put)
    assert ended(results) == [2]


def test_a_stop_ends_views_and_jobs():
    worker, results, begun, stopped = Worker(), queue.Queue(), threading.Event(), []
    worker.start()

    def job():
        begun.set()
        try:
            while True:
                worker.breathe()
        except Stopped:
            stopped.append(True)
            raise

    worker.later(job)
    assert begun.wait(SECONDS)
    worker.stop()
    assert stopped
    worker.show("tab", iter([1]), results.put)
    assert ended(results) == []
