"""`ccsr upscale INPUT... [options]`: enlarge pictures, one after the other."""

import argparse
from collections.abc import Callable, Sequence
from inspect import signature
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ccsr import terminal
from ccsr.cli import arguments, options, upscale_options

if TYPE_CHECKING:  # slow to import
    from ccsr import image
    from ccsr.jobs.places import Place
    from ccsr.jobs.plan import Plan
    from ccsr.jobs.target import Target


def main(argv: Sequence[str]) -> int:
    """Run `ccsr upscale` with the arguments after that word; returns the exit code.

    Raises:
        ValueError: for what cannot be done.
        OSError: for files that cannot be read or written.
        KeyboardInterrupt: on Ctrl-C, or SIGTERM; its text says what remains.
    """
    parser = upscale_options.parser()
    args = parser.parse_args(argv)
    upscale_options.check(args, parser.error)

    from ccsr import image
    from ccsr.cli.standard import standard_streams

    chosen = options.given(args, image.Output)
    if args.print:
        chosen["dpi"] = args.print.dpi
    saving = image.Output(**chosen)
    image.limit_pixels(args.max_pixels)
    image.limit_frames(args.max_frames)
    with standard_streams(args.inputs, args.output, saving.format) as (inputs, output):
        return _run(args, inputs, output, saving)


def _run(
    args: argparse.Namespace, inputs: Sequence["Place"], output: str | None, saving: "image.Output"
) -> int:
    from ccsr.cli import enlarging
    from ccsr.jobs.naming import Naming
    from ccsr.jobs.plan import make_plan
    from ccsr.jobs.reports import Report
    from ccsr.upscaling.upscaler import Upscaler

    target = _target(args)
    plan = make_plan(
        inputs,
        output,
        target,
        args.exists,
        saving,
        recursive=args.recursive,
        naming=None if args.name is None else Naming(args.name, Path(args.model).stem),
        shard=args.shard,
    )
    if "format" in args:
        _check_format(plan, saving)
    if not args.quiet:
        for line in plan.notes:
            terminal.say(line)
    settings = options.given(args, {*signature(Upscaler).parameters, "engine"} - {"model"})
    upscaler = None  # workers load it where they are
    if not args.on:
        upscaler = Upscaler.load(args.model, trust=args.trust, **settings, warn=terminal.warn)
    if args.dry_run:
        tell = terminal.say if args.output == arguments.STANDARD else terminal.tell
        report = Report(None, plan, told=args.json)
        return 1 if enlarging.preview(plan, target, report, saving, tell) else 0
    if upscaler is None:
        return _on_cluster(args, plan, target, saving, settings)
    kept = Report(args.report, plan, told=args.json)
    failures = enlarging.enlarge(
        plan, target, upscaler, kept, saving, quiet=args.quiet or args.json, debug=args.debug
    )
    return 1 if failures else 0


def _check_format(plan: "Plan", saving: "image.Output") -> None:
    """Refuse a format that the name of a result contradicts, as one that is given by -o may."""
    from ccsr import image

    for source, output in (*plan.jobs, *plan.skipped)[:1]:  # all others have it from the format
        suffix = image.suffix_for(saving.format, source.suffix)
        if image.check_output(output, saving) != image.check_output(f"a{suffix}", saving):
            raise ValueError(
                f"{output} says another format than --format {saving.format}: leave out one of them"
            )


def _on_cluster(
    args: argparse.Namespace,
    plan: "Plan",
    target: "Target",
    saving: "image.Output",
    settings: dict[str, Any],
) -> int:
    from ccsr.cli import enlarging
    from ccsr.jobs.cluster import Cluster
    from ccsr.jobs.connection import connected
    from ccsr.jobs.reports import Report
    from ccsr.jobs.worker import Recipe

    def carry_out(work: Callable[[enlarging.Tell, enlarging.Watch], None]) -> int:
        report = Report(args.report, plan, told=args.json)
        quiet = args.quiet or args.json
        return 1 if enlarging.carry_out(plan, work, report, quiet=quiet, debug=args.debug) else 0

    if not plan.jobs:  # to say so takes no cluster, which may be gone by then
        return carry_out(lambda tell, watch: None)
    limits = args.max_pixels, args.max_frames
    recipe = Recipe.of(args.model, args.trust, settings, target, saving, *limits)
    with connected(args.on) as ray:
        cluster = Cluster(ray, recipe, terminal.warn)
        return carry_out(lambda tell, watch: cluster.run(plan.jobs, tell))


def _target(args: argparse.Namespace) -> "Target":
    from ccsr.jobs.target import Target

    height, width = args.size or (args.height, args.width)
    wishes = [getattr(args, name) for name in upscale_options.RULES]
    rule = next((wish for wish in wishes if wish is not None), None)
    return Target(args.scale, height, width, args.print.rule if args.print else rule)
