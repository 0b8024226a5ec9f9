"""Carrying out a plan, and telling what comes of it: on the screen, at the end, in the report."""

from collections.abc import Callable, Sequence

from ccsr import image, terminal
from ccsr.cli.interrupts import ended_as_interrupted
from ccsr.cli.progress import Progress
from ccsr.device import NoRoomError
from ccsr.jobs import pipeline
from ccsr.jobs.checks import Job
from ccsr.jobs.places import Place
from ccsr.jobs.plan import Plan
from ccsr.jobs.reports import Report
from ccsr.jobs.target import Target
from ccsr.jobs.writing import Outcome, sentence
from ccsr.terminal import shown, tell
from ccsr.upscaling.upscaler import Upscaler

Tell = Callable[[Outcome], None]
Watch = Callable[[Place, float], None]


class _Ledger:
    """Tells every outcome to the screen and the report, and keeps the failures for the end."""

    def __init__(self, progress: Progress, report: Report, debug: bool) -> None:
        self.failures: list[str] = []
        self.finished: set[Job] = set()
        self._progress = progress
        self._report = report
        self._debug = debug

    def add(self, outcome: Outcome) -> None:
        self.finished.add(outcome.job)
        source, output = outcome.job
        if outcome.size is None:
            self.fail(source, outcome.error, outcome.trace, output)
            return
        (height, width), seconds = outcome.size, round(outcome.seconds, 3)
        told = f"{outcome.summary}{outcome.lost}"
        self._progress.done(source, f"{output} ({told}) in {seconds:.1f} s")
        dropped = list(outcome.dropped)
        self._report.add(
            source, "done", output, width=width, height=height, seconds=seconds, dropped=dropped
        )

    def fail(
        self, source: Place, message: str, trace: str = "", output: Place | None = None
    ) -> None:
        self.failures.append(message)
        self._progress.fail(message, trace if self._debug else "")
        self._report.add(source, "failed", output, error=message)


def enlarge(
    plan: Plan,
    target: Target,
    upscaler: Upscaler,
    report: Report,
    saving: image.Output = image.DEFAULT,
    *,
    quiet: bool = False,
    debug: bool = False,
) -> int:
    """Carry out a plan here, see `carry_out`."""

    def work(add: Tell, watch: Watch) -> None:
        pipeline.run(plan.jobs, target, upscaler, add, saving, watch)

    return carry_out(plan, work, report, quiet=quiet, debug=debug)


def carry_out(
    plan: Plan,
    work: Callable[[Tell, Watch], None],
    report: Report,
    *,
    quiet: bool = False,
    debug: bool = False,
) -> int:
    """Carry out a plan; failures are named on standard error when they happen and at the end.

    Args:
        plan: what is done.
        work: does its jobs, and calls what it is given: with each outcome, and with the source that
            is in hand and the share of it that is done.
        report: is told everything, and closed.
        quiet: say nothing but errors.
        debug: show where in the code an error happened.

    Returns:
        The number of failures.

    Raises:
        KeyboardInterrupt: on Ctrl-C, or SIGTERM; its text says what remains.
    """
    total = len(plan.jobs) + len(plan.unlisted)
    progress = Progress(total, quiet)
    ledger = _Ledger(progress, report, debug)
    _report_rest(plan, report)
    for folder, message in plan.unlisted.items():
        ledger.fail(folder, message)
    try:
        with ended_as_interrupted():
            work(ledger.add, progress.update)
    except KeyboardInterrupt as error:
        remaining = [job for job in plan.jobs if job not in ledger.finished]
        for job in remaining:
            report.add(job.source, "remaining", job.output)
        raise KeyboardInterrupt(
            f"{len(ledger.finished)} of {len(plan.jobs)} pictures are finished, "
            f"{len(remaining)} remain"
            + (f", from {remaining[0].source} on: " if remaining else ": ")
            + _advice(plan, remaining)
        ) from error
    finally:
        report.close()
        if ledger.failures and total > 1 and not report.told:
            progress.error(f"{len(ledger.failures)} of {total} pictures failed:")
            progress.list(ledger.failures)
        if report.error:
            progress.error(report.error)
    return len(ledger.failures) + bool(report.error)


def _advice(plan: Plan, remaining: Sequence[Job]) -> str:
    # known from the plan: a store with a million of them is not asked for each
    if not plan.replaced.isdisjoint(remaining):
        return "the same command does all of them again"
    return "the same command with --exists skip goes on"


def preview(
    plan: Plan,
    target: Target,
    report: Report,
    saving: image.Output = image.DEFAULT,
    tell: Callable[[str], None] = tell,
) -> int:
    """Tell what a plan would write, with the sizes; errors go to standard error.

    A report that tells programs takes the place of `tell`.

    Returns:
        The number of pictures that would fail.
    """
    tell = (lambda text: None) if report.told else tell
    _report_rest(plan, report)
    failures = list(plan.unlisted.values())
    for folder, message in plan.unlisted.items():
        report.add(folder, "failed", error=message)
    for job in plan.jobs:
        try:
            height, width = pipeline.preview(job, target, saving)
        except (OSError, ValueError, NoRoomError) as error:
            failures.append(sentence(job, error))
            report.add(job.source, "failed", job.output, error=failures[-1])
        else:
            tell(shown(f"{job.source} -> {job.output} ({width}x{height})"))
            report.add(job.source, "planned", job.output, width=width, height=height)
    for job in plan.skipped:
        tell(shown(f"{job.source} -> {job.output} exists, is skipped"))
    for message in failures:
        terminal.complain(message if report.told else shown(message))
    return len(failures) + bool(report.error)


def _report_rest(plan: Plan, report: Report) -> None:
    """Report what a plan does not touch."""
    for job in plan.skipped:
        report.add(job.source, "skipped", job.output)
    for source in plan.made:
        report.add(source, "left out")
