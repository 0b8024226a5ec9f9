"""One thread that computes everything: views as they are asked for, and jobs between them."""

import logging
import threading
from collections import OrderedDict, deque
from collections.abc import Callable, Iterator
from typing import Any

_log = logging.getLogger(__name__)

Deliver = Callable[[Any], None]


class Stopped(BaseException):
    """A job ends, since its person or the server does not want it any more."""


class _Task:
    """A view on its way: steps still to be taken, and who gets their results."""

    def __init__(self, steps: Iterator[Any], deliver: Deliver) -> None:
        self.steps = steps
        self.deliver = deliver


class Worker:
    """Takes steps of views, one of each tab in turn; a job lets them pass at each `breathe`.

    `deliver` gets the results, in the worker's thread: an item for each step, an exception if one
    fails, and None at the end in any case.
    """

    def __init__(self) -> None:
        self._views: OrderedDict[str, _Task] = OrderedDict()
        self._jobs: deque[Callable[[], None]] = deque()
        self._changed = threading.Condition()
        self._stopped = self._at_job = False
        self._thread = threading.Thread(target=self._run, name="ccsr-worker", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self, seconds: float = 10) -> None:
        """End all views and jobs, and wait for what is being computed."""
        with self._changed:
            self._stopped = True
            tasks = [*self._views.values()]
            self._views.clear()
            self._jobs.clear()
            self._changed.notify()
        for task in tasks:
            task.deliver(None)
        if self._thread.is_alive() and self._thread is not threading.current_thread():
            self._thread.join(seconds)

    def show(self, tab: str, steps: Iterator[Any], deliver: Deliver) -> Callable[[], None]:
        """Compute a view in the place of the one that this tab asked for before.

        Returns:
            What forgets it; nothing more is computed of it than the step in hand.
        """
        task = _Task(steps, deliver)
        with self._changed:
            old = self._views.pop(tab, None)
            if not self._stopped:
                self._views[tab] = task
            self._changed.notify()
        if old:
            old.deliver(None)
        if self._stopped:
            deliver(None)
        return lambda: self._drop(tab, task)

    def later(self, job: Callable[[], None]) -> None:
        """Do a job after those that wait already."""
        with self._changed:
            self._jobs.append(job)
            self._changed.notify()

    @property
    def busy(self) -> bool:
        """Whether a job is being done or waits."""
        with self._changed:
            return self._at_job or bool(self._jobs)

    def breathe(self) -> None:
        """Take the steps of all views that wait: for jobs to call, often.

        Raises:
            Stopped: if the worker was told to end.
        """
        while self._step():
            pass
        if self._stopped:
            raise Stopped

    def _run(self) -> None:
        while True:
            if self._step():
                continue
            with self._changed:
                if self._stopped:
                    return
                if self._views:
                    continue
                if not self._jobs:
                    self._changed.wait()
                    continue
                job = self._jobs.popleft()
                self._at_job = True
            try:
                job()
            except Stopped:
                pass
            except Exception:  # a fault of ours: the next job may do
                _log.exception("a job failed")
            with self._changed:
                self._at_job = False

    def _step(self) -> bool:
        """Take a step of the view that waited longest, if any waits."""
        with self._changed:
            if not self._views or self._stopped:
                return False
            tab, task = next(iter(self._views.items()))
        try:
            item = next(task.steps, None)
        except Exception as error:  # is told on the page, whatever it is
            item = error
        ended = item is None or isinstance(item, Exception)
        with self._changed:
            if self._views.get(tab) is not task:
                return True  # a newer one took its place, and its end was delivered
            if ended:
                del self._views[tab]
            else:
                self._views.move_to_end(tab)
        task.deliver(item)
        if item is not None and ended:
            task.deliver(None)
        return True

    def _drop(self, tab: str, task: _Task) -> None:
        with self._changed:
            if self._views.get(tab) is task:
                del self._views[tab]
