"""A run on a cluster: pictures are dealt out to workers that may come, go and die.

These are actors of Ray, not its data sets: what becomes of a picture whose worker dies is decided
here, one by one, and one that kills its workers is found and given up.
"""

import re
import time
from collections import Counter, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ccsr import __version__
from ccsr.jobs.checks import Job
from ccsr.jobs.pipeline import prepare
from ccsr.jobs.places import Place
from ccsr.jobs.worker import Recipe, Worker
from ccsr.jobs.writing import Outcome

DEATHS = 3  # of its workers, after which a picture is given up
STILLBORN = 5  # workers in a row that cannot begin, after which a run without others ends
AHEAD = 2  # tasks that a worker has: one in hand, and one that waits
TASK = 5.0  # seconds of work that a task should hold
LARGEST = 32  # pictures in a task
LOOK = 1.0  # seconds after which is looked whether there is room for more workers
LONGEST_LOOK = 30.0  # likewise, where the last ones could not begin
NOTE = 60.0  # seconds after which a person is told that there is none


@dataclass(eq=False)
class _Hand:
    """A worker as it is seen from here.

    Attributes:
        actor: Ray's handle of it.
        gpu: whether it has a GPU.
        hello: what it will say when it is ready; None when it has said it.
        node: the machine that it is on, once it is ready.
        tasks: what it has to do, with the results to come.
    """

    actor: Any
    gpu: bool
    hello: Any
    node: str = ""
    tasks: deque[tuple[Any, list[Job]]] = field(default_factory=deque)


class Cluster:
    """Does the jobs of one run after the other.

    Args:
        ray: the module, connected to a cluster.
        recipe: what the workers do.
        warn: is told what a person should know.
    """

    def __init__(self, ray: Any, recipe: Recipe, warn: Callable[[str], None]) -> None:
        self._ray = ray
        self._recipe = ray.put(recipe)
        self._device = str(recipe.options.get("device", "auto"))
        self._warn = warn
        self._hands: list[_Hand] = []
        self._queue: deque[Job] = deque()
        self._alone: deque[Job] = deque()  # whose worker died: they are done one by one
        self._deaths: Counter[Job] = Counter()
        self._stillborn = 0
        self._pace = TASK  # seconds that a picture takes
        self._looked = -LOOK
        self._moved = time.monotonic()

    def run(self, jobs: Sequence[Job], report: Callable[[Outcome], None]) -> None:
        """Do all jobs, in any order; one that fails does not touch the others.

        Raises:
            OSError: if nothing can be written where results go.
            RuntimeError: if there can be no workers, with the reason.
            KeyboardInterrupt: on Ctrl-C; what is reported then is whole.
        """
        prepare(jobs)
        self._queue.extend(jobs)
        try:
            while self._queue or self._alone or any(hand.tasks for hand in self._hands):
                self._hire()
                self._deal()
                self._collect(report)
        finally:
            for hand in self._hands:
                self._ray.kill(hand.actor)
            self._hands.clear()

    def _hire(self) -> None:
        """Ask for workers where there is room, and for one more: some make room on demand."""
        now = time.monotonic()
        if now - self._looked < min(LOOK * (1 + self._stillborn), LONGEST_LOOK):
            return
        self._looked = now
        if not any(hand.node for hand in self._hands) and now - self._moved > NOTE:
            self._warn("the cluster has no room for a worker so far: waiting")
            self._moved = now
        free, wanted = self._ray.available_resources(), self._wanted()
        for gpu in (True, False):
            waiting = sum(hand.gpu == gpu and not hand.node for hand in self._hands)
            room = int(free.get("GPU" if gpu else "CPU", 0)) + 1 - waiting
            for _ in range(min(room, wanted) if self._takes(gpu) else 0):
                self._hands.append(self._hired(gpu))
                wanted -= 1

    def _wanted(self) -> int:
        return len(self._queue) + len(self._alone) - sum(not hand.node for hand in self._hands)

    def _takes(self, gpu: bool) -> bool:
        """Whether workers of that kind are of use."""
        if self._device != "auto":
            return gpu == (self._device == "cuda")
        return not gpu or "GPU" in self._ray.cluster_resources()

    def _hired(self, gpu: bool) -> _Hand:
        needs = {"num_cpus": 0, "num_gpus": 1} if gpu else {"num_cpus": 1}
        kind = self._ray.remote(Worker).options(**needs, scheduling_strategy="SPREAD")
        actor = kind.remote(self._recipe, "cuda" if gpu else "cpu")
        return _Hand(actor, gpu, actor.begin.remote())

    def _deal(self) -> None:
        """Give tasks to workers that have not enough of them."""
        ready = [hand for hand in self._hands if hand.node]
        left = len(self._queue)
        most = max(1, min(LARGEST, int(TASK / self._pace), left // (AHEAD * len(ready) or 1)))
        for _ in range(AHEAD):
            for hand in ready:
                if len(hand.tasks) >= AHEAD:
                    continue
                if self._alone:
                    self._give(hand, [self._alone.popleft()])
                elif self._queue:
                    count = min(most, len(self._queue))
                    self._give(hand, [self._queue.popleft() for _ in range(count)])

    def _give(self, hand: _Hand, jobs: list[Job]) -> None:
        there = [Job(_absolute(job.source), _absolute(job.output)) for job in jobs]
        hand.tasks.append((hand.actor.do.remote(there), jobs))

    def _collect(self, report: Callable[[Outcome], None]) -> None:
        """Wait a while for a worker, and take what it says."""
        heads = {hand.hello: hand for hand in self._hands if not hand.node}
        heads |= {hand.tasks[0][0]: hand for hand in self._hands if hand.tasks}
        if not heads:
            time.sleep(LOOK)
            return
        done, _ = self._ray.wait(list(heads), num_returns=1, timeout=LOOK)
        if done:  # and what else is there: with many workers one by one would take too long
            done, _ = self._ray.wait(list(heads), num_returns=len(heads), timeout=0)
        for result in done:
            hand = heads[result]
            try:
                said = self._ray.get(result)
            except self._ray.exceptions.RayTaskError as error:
                self._bury(hand, str(error.cause or error), report)
            except self._ray.exceptions.RayError as error:
                self._bury(hand, str(error), report)
            else:
                self._moved = time.monotonic()
                if hand.node:
                    self._take(hand, said, report)
                else:
                    self._greet(hand, said)

    def _greet(self, hand: _Hand, hello: Any) -> None:
        version, error, node = hello
        if version != __version__:
            raise RuntimeError(
                f"a worker of the cluster has ccsr {version}, and this is {__version__}: install "
                "the same on all machines"
            )
        if error:
            self._fail_to_begin(hand, error)
            return
        hand.node, hand.hello = node, None
        self._stillborn = 0

    def _take(
        self, hand: _Hand, outcomes: Sequence[Outcome], report: Callable[[Outcome], None]
    ) -> None:
        _, jobs = hand.tasks.popleft()
        seconds = sum(outcome.seconds for outcome in outcomes) / len(jobs)
        self._pace = max(1e-3, (self._pace + seconds) / 2)
        for job, outcome in zip(jobs, outcomes, strict=True):
            error = outcome.error
            for there, here in zip(outcome.job, job, strict=True):  # as the person knows them
                error = error.replace(str(there), str(here))
            report(outcome._replace(job=job, error=error))

    def _fail_to_begin(self, hand: _Hand, reason: str) -> None:
        """A worker cannot work; others do, or may, unless many in a row cannot.

        Where a machine is lost, workers are sent there until the cluster knows.
        """
        self._ray.kill(hand.actor)
        self._hands.remove(hand)
        self._stillborn += 1
        if self._stillborn >= STILLBORN and not any(other.node for other in self._hands):
            raise RuntimeError(
                f"{STILLBORN} workers of the cluster cannot begin, the last since: {reason}"
            )

    def _bury(self, hand: _Hand, why: str, report: Callable[[Outcome], None]) -> None:
        """A worker is gone: what it had to do is for others."""
        reason = _cause(why)
        if not hand.node:
            self._fail_to_begin(hand, reason)
            return
        self._ray.kill(hand.actor)
        self._hands.remove(hand)
        alive = {node["NodeID"] for node in self._ray.nodes() if node["Alive"]}
        tasks = [jobs for _, jobs in hand.tasks]
        if tasks and hand.node in alive:  # not the machine was lost, so it may be a picture's fault
            for job in tasks.pop(0):
                self._deaths[job] += 1
                if self._deaths[job] < DEATHS:
                    self._alone.append(job)
                    continue
                text = f"cannot enlarge {job.source}: {DEATHS} workers died at it, the last with: "
                report(Outcome(job, None, 0, "", text + reason))
        for jobs in tasks:
            self._queue.extendleft(reversed(jobs))


def _cause(text: str) -> str:
    """Why a worker died, of what Ray says: the first sentence of its detail, else the end."""
    line = " ".join(text.split())
    detail = re.search(r"exit detail: (.+?)\.(?: |$)", line)
    return detail[1] if detail else line[-400:]


def _absolute(place: Place) -> Place:
    """A place that means the same in another folder."""
    return place.absolute() if isinstance(place, Path) else place
