"""`ccsr evaluate`: networks, kernels and others' pictures side by side, by named protocols."""

import argparse
from collections.abc import Collection, Sequence
from dataclasses import replace
from pathlib import Path

from ccsr import terminal
from ccsr.cli import evaluate_output
from ccsr.cli.evaluate_options import parser
from ccsr.cli.progress import ImageProgress
from ccsr.distribution import remedy
from ccsr.evaluation import plots
from ccsr.evaluation.cache import Cache
from ccsr.evaluation.dump import Dump, DumpError
from ccsr.evaluation.measure import Comparison, Findings, measure
from ccsr.evaluation.methods import BICUBIC, build, under
from ccsr.evaluation.names import check_names
from ccsr.evaluation.pictures import Pictures
from ccsr.evaluation.results import json_text
from ccsr.evaluation.testsets import TestSet, find_all, is_sought
from ccsr.metrics import load_lpips
from ccsr.protocols import PROTOCOLS
from ccsr.suggest import near

__all__ = ["main", "parser"]

SCALES = ((2.0, 2.0), (3.0, 3.0), (4.0, 4.0))


def main(argv: Sequence[str]) -> int:
    """Run `ccsr evaluate` with the arguments after that word; returns the exit code.

    Raises:
        ValueError: for input that cannot be evaluated.
        OSError: for files that cannot be read or written.
        KeyboardInterrupt: on Ctrl-C; its text says how to go on.
    """
    flags = parser()
    args = flags.parse_args(argv)
    _settle(flags, args)
    testsets = find_all(args.data)
    if args.out:
        _check_out(args.out, args.data, testsets)
    images = [(testset, key) for testset in testsets for key in testset.names()[: args.limit]]
    if args.lr and not args.lr.is_dir():
        raise NotADirectoryError(f"--lr: expected a folder, got {args.lr}")
    comparisons = _comparisons(args)
    _look_for_pictures(comparisons, images)
    if args.out:
        args.out.mkdir(parents=True, exist_ok=True)
        if not plots.available():
            terminal.say(f"ccsr: curve.png and crops.png need matplotlib: {remedy('evaluate')}")
    findings = _measure(comparisons, images, args.quiet, args.debug)
    if not findings.records:
        raise ValueError("no image could be evaluated: every one was left out")
    kinds = _kinds(comparisons[0])
    found = evaluate_output.outcome(testsets, comparisons, kinds, findings, args.compare)
    facts = {"device": args.device, "precision": args.precision}
    document = evaluate_output.document(found, argv, facts)
    try:  # first what is written, then what is printed: one of them may fail
        if args.out:
            evaluate_output.write(found, args.out, document)
    finally:
        if args.json:
            terminal.tell(json_text(document))
        else:
            evaluate_output.tell(found, args.table)
    return 1 if findings.left_out else 0


def _settle(flags: argparse.ArgumentParser, args: argparse.Namespace) -> None:
    """Give what is not asked for its default, as `extend` adds to one, and refuse what cannot be.

    Raises:
        ValueError: for a scale that a protocol cannot do.
    """
    args.scales = list(dict.fromkeys(args.scales or SCALES))  # `extend` adds to a default
    if (1.0, 1.0) in args.scales and not args.degrade:
        flags.error("--scales: at 1 an image is its own enlargement: leave it out, or --degrade it")
    if args.json and args.table != "text":
        flags.error("--table: --json prints no table: leave one of them out")
    args.protocol = args.protocol or [PROTOCOLS["benchmark-y"]]
    args.model = args.model or ["light"]
    names = [each.name for each in args.protocol]
    if len(set(names)) < len(names):
        flags.error("--protocol: one is given twice: leave it out")
    for protocol in args.protocol:
        for scale in args.scales:
            protocol.crop((10**6, 10**6), scale)  # a scale it cannot do is no image's fault


def _check_out(out: Path, roots: Sequence[Path], testsets: Sequence[TestSet]) -> None:
    """See that pictures of results will not be found as test images."""
    for root, testset in zip(roots, testsets, strict=True):
        for place in testset.folders.values():
            way = place.resolve(), *place.resolve().parents
            within = out.resolve().is_relative_to(root.resolve())
            below = out.resolve().relative_to(root.resolve()).parts if within else ()
            if within and (out.resolve() in way or any(map(is_sought, below))):
                raise ValueError(
                    f"--out: the pictures in {out} would count as test images of {root} the next "
                    "time: choose a folder beside it"
                )


def _comparisons(args: argparse.Namespace) -> list[Comparison]:
    """One for each protocol, of the same contenders; each network is loaded once."""
    wanted = args.model if BICUBIC in args.model else [BICUBIC, *args.model]
    first = args.protocol[0]
    methods = build(wanted, first, args.device, args.precision, args.trust, terminal.warn)
    place = args.cache or (args.out and args.out / "cache")
    lpips = load_lpips() if args.lpips else None
    comparison = Comparison(
        methods=methods,
        scales=args.scales,
        protocol=first,
        lr=args.lr,
        lpips=lpips,
        degrade=args.degrade,
        pictures=[Pictures(name, folder) for name, folder in args.results],
        cache=Cache(place, terminal.warn) if place else None,
        dump=Dump(args.dump, [m.name for m in methods]) if args.dump else None,
    )
    _check_names(comparison, [name for pair in args.compare for name in pair])
    return [
        replace(comparison, protocol=protocol, methods=under(methods, protocol))
        for protocol in args.protocol
    ]


def _kinds(comparison: Comparison) -> dict[str, str]:
    """The common name of each method that is one of several runs."""
    return {method.name: method.kind for method in comparison.methods if method.kind}


def _check_names(comparison: Comparison, compared: Collection[str]) -> None:
    kinds = _kinds(comparison)
    columns = list(dict.fromkeys(kinds.get(m.name, m.name) for m in comparison.methods))
    taken = {*columns, *kinds}
    for each in comparison.pictures:
        if each.name in taken:
            raise ValueError(
                f"--results: {each.name!r} is the name of a model or of another folder: choose "
                "another name"
            )
        taken.add(each.name)
        columns.append(each.name)
    for name in compared:
        if name not in columns:
            raise ValueError(f"--compare: no model is called {name!r}: {near(name, columns)}")


def _look_for_pictures(
    comparisons: Sequence[Comparison], images: Sequence[tuple[TestSet, str]]
) -> None:
    """See that files can be told apart, and other programs' are there, before any work."""
    keys: dict[str, tuple[TestSet, list[str]]] = {}
    for testset, key in images:
        keys.setdefault(testset.name, (testset, []))[1].append(key)
    for comparison in comparisons:
        for testset, names in keys.values():
            if comparison.pictures or comparison.dump or comparison.lr:
                check_names(testset)
            for pictures in comparison.pictures:
                for scale in comparison.scales:
                    pictures.check([comparison.case(testset, key, scale) for key in names])


def _measure(
    comparisons: Sequence[Comparison],
    images: Sequence[tuple[TestSet, str]],
    quiet: bool,
    debug: bool,
) -> Findings:
    """Measure by each protocol, and tell how far it is."""
    findings, cache = Findings(), comparisons[0].cache
    try:
        with ImageProgress(len(images) * len(comparisons), quiet, debug) as progress:
            for number, comparison in enumerate(comparisons):
                progress.before = number * len(images)
                found = measure(comparison, images, progress.show, progress.complain)
                findings.records += found.records
                findings.left_out += found.left_out
    except DumpError as error:
        raise OSError(str(error)) from error
    except KeyboardInterrupt as error:
        if cache is None:
            raise
        raise KeyboardInterrupt(
            f"what was measured is in {cache.folder}; the same command goes on from there"
        ) from error
    if cache and cache.found and not quiet:
        terminal.say(
            f"ccsr: {cache.found} of {cache.found + cache.kept} results were measured before, "
            f"and are from {cache.folder}"
        )
    return findings
