"""What comes of a plan: on the screen, at the end, in `--report`."""

import os
from collections.abc import Sequence
from pathlib import Path

from ccsr import image
from ccsr.cli.progress import Progress
from ccsr.jobs import pipeline
from ccsr.jobs.checks import Job, identity
from ccsr.jobs.pipeline import Outcome
from ccsr.jobs.plan import Plan
from ccsr.jobs.target import Target
from ccsr.terminal import as_json, say, shown, tell
from ccsr.upscaling.upscaler import Upscaler

SUFFIX = ".jsonl"


class Report:
    """A file with one JSON object per picture, written as the pictures are finished.

    Args:
        path: is emptied first; None to report nothing.
        plan: whose pictures must not be taken for the report.

    Raises:
        ValueError: if `path` does not end in `.jsonl`, or is an input.
        OSError: if it cannot be written.
    """

    def __init__(self, path: Path | None, plan: Plan) -> None:
        self._path = path
        self.error = ""
        if path is None:
            return
        if path.suffix != SUFFIX:
            raise ValueError(f"expected a report that ends in {SUFFIX}, got {path}")
        if identity(path) in {identity(job.source) for job in plan.jobs + plan.skipped}:
            raise ValueError(f"the report {path} is an input and would be overwritten")
        if path.exists() and not path.is_file():  # opening a pipe waits for ever
            raise OSError(f"cannot write the report {path}: it is no regular file")
        try:
            path.write_bytes(b"")
        except OSError as error:
            raise OSError(f"cannot write the report {path}: {error.strerror}") from error

    def add(
        self, source: Path, status: str, output: Path | None = None, **more: str | float | list[str]
    ) -> None:
        """Append a line. If that fails, `error` says so: it is no reason to stop."""
        if self._path is None:
            return
        line = {"source": str(source), "output": output and str(output), "status": status, **more}
        try:
            with self._path.open("a", encoding="utf-8") as stream:
                stream.write(as_json(line) + "\n")
        except OSError as error:
            self.error = f"cannot write the report {self._path}: {error.strerror}"


class _Ledger:
    """Tells every outcome to the screen and the report, and keeps the failures for the end."""

    def __init__(self, progress: Progress, report: Report, debug: bool) -> None:
        self.failures: list[str] = []
        self.finished = 0
        self._progress = progress
        self._report = report
        self._debug = debug

    def add(self, outcome: Outcome) -> None:
        self.finished += 1
        source, output = outcome.job
        if outcome.size is None:
            self.fail(source, outcome.error, outcome.trace, output)
            return
        (height, width), seconds = outcome.size, round(outcome.seconds, 3)
        dropped = list(dict.fromkeys(outcome.dropped))
        summary = outcome.summary + (f"; dropped: {', '.join(dropped)}" if dropped else "")
        self._progress.done(source, f"{output} ({summary}) in {seconds:.1f} s")
        self._report.add(
            source, "done", output, width=width, height=height, seconds=seconds, dropped=dropped
        )

    def fail(self, source: Path, message: str, trace: str = "", output: Path | None = None) -> None:
        self.failures.append(message)
        self._progress.fail(message, trace if self._debug else "")
        self._report.add(source, "failed", output, error=message)


def enlarge(
    plan: Plan,
    target: Target,
    upscaler: Upscaler,
    report: Report,
    files: image.Output = image.DEFAULT,
    *,
    quiet: bool = False,
    debug: bool = False,
) -> int:
    """Carry out a plan; failures are named on standard error when they happen and at the end.

    Returns:
        The number of failures.

    Raises:
        KeyboardInterrupt: on Ctrl-C; its text says what remains.
    """
    total = len(plan.jobs) + len(plan.unlisted)
    progress = Progress(total, quiet)
    ledger = _Ledger(progress, report, debug)
    for job in plan.skipped:
        report.add(job.source, "skipped", job.output)
    for source in plan.made:
        report.add(source, "left out")
    for folder, message in plan.unlisted.items():
        ledger.fail(folder, message)
    try:
        pipeline.run(plan.jobs, target, upscaler, ledger.add, files, progress.update)
    except KeyboardInterrupt as error:
        remaining = plan.jobs[ledger.finished :]
        for job in remaining:
            report.add(job.source, "remaining", job.output)
        raise KeyboardInterrupt(
            f"{ledger.finished} of {len(plan.jobs)} pictures are finished, {len(remaining)} remain"
            + (f", from {remaining[0].source} on: " if remaining else ": ")
            + _advice(remaining)
        ) from error
    finally:
        if ledger.failures and total > 1:
            progress.error(f"{len(ledger.failures)} of {total} pictures failed:")
            progress.list(ledger.failures)
        if report.error:
            progress.error(report.error)
    return len(ledger.failures) + bool(report.error)


def _advice(remaining: Sequence[Job]) -> str:
    if any(os.path.lexists(job.output) for job in remaining):  # from an earlier run
        return "the same command does all of them again"
    return "the same command with --exists skip goes on"


def preview(plan: Plan, target: Target, files: image.Output = image.DEFAULT) -> int:
    """Print what a plan would write, with the sizes; errors go to standard error.

    Returns:
        The number of pictures that would fail.
    """
    failures = list(plan.unlisted.values())
    for job in plan.jobs:
        try:
            height, width = pipeline.preview(job, target, files)
        except (OSError, ValueError) as error:
            failures.append(str(error))
        else:
            tell(shown(f"{job.source} -> {job.output} ({width}x{height})"))
    for job in plan.skipped:
        tell(shown(f"{job.source} -> {job.output} exists, is skipped"))
    for message in failures:
        say(shown(f"ccsr: error: {message}"))
    return len(failures)
