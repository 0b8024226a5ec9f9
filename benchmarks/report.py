"""RESULTS.md and the plot, from what was measured."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from benchmarks import drop, engines, front, many, page, plans, views
from benchmarks.cases import BFLOAT16
from ccsr.analysis.consistency import decibel

FOLDER = Path(__file__).parent
PARTS = ("decode", "base", "encoder", "stack", "decoder", "encode")
FULL_HD = "x4, 480x270 to 1920x1080"
ODD = "480x270 to 1923x1081"
Found = dict[str, Any]


def save(kind: str, found: Found) -> None:
    """Keep `found` as KIND.json and make RESULTS.md anew from all kinds that were measured."""
    (FOLDER / f"{kind}.json").write_text(json.dumps(found, indent=1) + "\n")
    text = [
        "# Results",
        "",
        "Written by `make bench`; see [README.md](README.md) for what is what.",
    ]
    sections = {
        "speed": _speed,
        "front": _front,
        "memory": _memory,
        "command": _command,
        "training": _training,
        "plans": plans.section,
        "views": _views,
        "drop": _drop,
        "engines": _engines,
        "many": _many,
        "page": _page,
        "consistency": _consistency,
    }
    for name, section in sections.items():
        path = FOLDER / f"{name}.json"
        if path.exists():
            text += ["", *section(json.loads(path.read_text()))]
    (FOLDER / "RESULTS.md").write_text("\n".join(text) + "\n")


def _views(found: Found) -> Iterator[str]:
    yield from ("## Views", "", _where(found))
    yield from views.section(found)


def _drop(found: Found) -> Iterator[str]:
    yield from ("## A picture that is dropped", "", _where(found))
    yield from drop.section(found)


def _engines(found: Found) -> Iterator[str]:
    yield from ("## Engines", "", _where(found))
    yield from engines.section(found)


def _many(found: Found) -> Iterator[str]:
    yield from ("## Many machines", "", _where(found))
    yield from many.section(found)


def _page(found: Found) -> Iterator[str]:
    yield from ("## The page without a server", "", _where(found))
    yield from page.section(found)


def _front(found: Found) -> Iterator[str]:
    yield from ("## The front", "", _where(found))
    yield from front.section(found)
    front.draw(FOLDER / "front.png", found)


def _where(found: Found) -> str:
    return (
        f"`{found['command']}` on {found['processor']}, {_threads(found['threads'])}, torch "
        f"{found['torch']}, load average {found['load']:.1f} when it began."
    )


def _threads(count: int) -> str:
    return "one thread" if count == 1 else f"{count} threads"


def _speed(found: Found) -> Iterator[str]:
    yield from ("## Speed", "", _where(found))
    yield f"Medians of {found['rounds']} rounds, in milliseconds; float32 unless said."
    yield from ("", "![Time over output size](speed.png)", "")
    yield "| case | method | file to file | " + " | ".join(PARTS) + " | network | bound / network |"
    yield "|---|---|" + "---:|" * (len(PARTS) + 3)
    for case in found["cases"]:
        yield _row(case["name"], "Lanczos (Pillow)", case["lanczos"])
        for name in _models(case):
            yield _row(case["name"], f"`{name}`", case[name])
    yield _row(f"x4, 1/{found['liif']['area']} of the area", "LIIF", found["liif"])
    kind = "the authors'" if found["liif"]["official_weights"] else "random"
    yield from ("", f"LIIF has {kind} weights and is timed on a picture of that share of the area.")
    yield from ("", "| wanted | measured | |", "|---|---|---|")
    for wanted, value, met in _floors(found):
        yield f"| {wanted} | {value} | {'yes' if met else '**no**'} |"
    _plot(found)


def _row(case: str, method: str, seconds: Found) -> str:
    cells = [f"{1e3 * seconds[part]:.0f}" if part in seconds else "" for part in PARTS]
    network, share = "", ""
    if "network" in seconds:
        network = f"{1e3 * seconds['network']:.0f}"
        share = f"{100 * seconds['bound'] / seconds['network']:.0f} %"
    total = f"{1e3 * seconds['total']:.0f}"
    return f"| {case} | {method} | {total} | " + " | ".join(cells) + f" | {network} | {share} |"


def _models(case: Found) -> list[str]:
    names = ("light", "base", "light" + BFLOAT16, "base" + BFLOAT16)
    return [name for name in names if name in case]


def _floors(found: Found) -> Iterator[tuple[str, str, bool]]:
    cases = {case["name"]: case for case in found["cases"]}
    x4, x2 = cases[FULL_HD], cases["x2"]
    slow = found["liif"]["total"] * found["liif"]["area"]
    for name in _models(x4):
        least = {"light": 100, "base": 40}[name.removesuffix(BFLOAT16)]
        least *= 2 if name.endswith(BFLOAT16) else 1
        ratio = slow / x4[name]["total"]
        text = f"`{name}`: {least} times as fast as LIIF in float32, file to file, {FULL_HD}"
        yield text, f"{ratio:.0f}", ratio >= least
    for case, most in ((x4, 30), (x2, 15)):
        for name in _models(case):
            seconds = case[name]
            share = 100 * (seconds["stack"] + seconds["decoder"]) / seconds["network"]
            text = f"`{name}`: CC stack and decoder at most {most} % of the network, {case['name']}"
            yield text, f"{share:.0f} %", share <= most
    for name in _models(cases[ODD]):
        ratio = cases[ODD][name]["network"] / x4[name]["network"]
        yield f"`{name}`: {ODD} at most twice {FULL_HD}", f"{ratio:.2f}", ratio <= 2
    for name in _models(x4):
        shares = [100 * c[name]["bound"] / c[name]["network"] for c in cases.values() if name in c]
        text = f"`{name}`: the bound at least 60 % of the network, everywhere"
        yield text, f"{min(shares):.0f} to {max(shares):.0f} %", min(shares) >= 60


def _memory(found: Found) -> Iterator[str]:
    yield from ("## Memory and growth", "", _where(found))
    yield "`light`, each result in a process of its own; peak over the interpreter with torch."
    yield from ("", "| megapixels | factor | seconds | peak, MB | streamed to TIFF |")
    yield "|---:|---:|---:|---:|---|"
    for run in found["growth"]:
        streamed = f"yes, {run['file'] / 1e6:.0f} MB" if run["streamed"] else "no"
        yield (
            f"| {run['megapixels']:.0f} | {run['factor']} | {run['seconds']:.1f} | "
            f"{run['peak'] / 1e6:.0f} | {streamed} |"
        )
    yield from ("", "| wanted | measured | |", "|---|---|---|")
    checks = [("time grows with an exponent of at most 1.03", found["exponent"], 1.03, "")]
    for run in found["growth"]:
        gigabytes = run["peak"] / 1e9
        if round(run["megapixels"]) == 100:
            checks.append(("100 megapixels in at most 1.2 GB", gigabytes, 1.2, " GB"))
        elif run["streamed"]:
            gigabytes += run["interpreter"] / 1e9
            checks.append(("a streamed gigapixel in 1.5 GB, all in all", gigabytes, 1.5, " GB"))
    for text, value, most, unit in checks:
        yield f"| {text} | {value:.2f}{unit} | {'yes' if value <= most else '**no**'} |"


def _command(found: Found) -> Iterator[str]:
    yield from (
        "## The command",
        "",
        _where(found),
        "",
        "| | seconds | wanted | |",
        "|---|---:|---|---|",
    )
    for text, key, most in (
        ("`ccsr --help`", "help", 0.3),
        ("`ccsr upscale` of one thumbnail", "one", 3.0),
    ):
        met = "yes" if found[key] <= most else "**no**"
        yield f"| {text} | {found[key]:.2f} | at most {most:g} | {met} |"
    ratio = (found["folder"] - found["one"]) / found["network"]
    met = "yes" if ratio <= 2 else "**no**"
    count = found["thumbnails"]
    yield f"| {count} thumbnails in a folder | {found['folder']:.2f} | | |"
    yield f"| the network alone on {count} | {found['network']:.2f} | | |"
    yield f"| folder less one, over the network alone | {ratio:.2f} | at most 2 | {met} |"


def _training(found: Found) -> Iterator[str]:
    yield from ("## Training", "", _where(found))
    yield "`ccsr train experiment=MODEL` on the bundled photos, patches of 48x48, the scales of the"
    yield "experiment, no pairs of two; a pixel is one of the low-resolution patches."
    yield ""
    heads = "device | model | photos lie in | patches | steps/s | Mpx/s | waiting for data"
    yield f"| {heads} | memory, MB | T multiply-adds/s | of the peak |"
    yield "|---|---|---|---:|---:|---:|---:|---:|---:|---:|"
    for run in found["speeds"]:
        yield (
            f"| {run['device']} | `{run['model']}` | {run['place']} | {run['patches']} | "
            f"{run['steps_per_second']:.3g} | {run['pixels_per_second'] / 1e6:.3g} | "
            f"{100 * run['waiting']:.1f} % | {run['memory_mb']:.0f} | "
            f"{run['macs_per_second'] / 1e12:.3g} | {100 * run['of_peak']:.0f} % |"
        )
    yield ""
    yield f"Memory of a long training: `{found['model']}`, {found['scales']} scales drawn in turn,"
    yield "patches of one size."
    yield from ("", "| steps | resident memory, MB |", "|---:|---:|")
    for step, resident in found["resident"]:
        yield f"| {step} | {resident / 1e6:.0f} |"


def _consistency(found: Found) -> Iterator[str]:
    yield from ("## Consistency across scales", "", _where(found))
    yield "PSNR in dB, as `ccsr analyze consistency` measures it: between the values at the same"
    yield "positions at a scale and at three times it, and between the input and the result reduced"
    yield from ("back to it; *same* is equal to float rounding.", "")
    rows: dict[float, dict[str, Found]] = {}
    for each in found["agreement"]:
        rows.setdefault(each["scale"], {})[each["method"]] = each
    names = list(next(iter(rows.values())))
    heads = [f"{what}: {name}" for what in ("same positions", "back") for name in names]
    yield "| scale | " + " | ".join(heads) + " |"
    yield "|---:|" + "---:|" * len(heads)
    for scale, row in rows.items():
        values = [row[name][key] for key in ("same_positions", "back") for name in names]
        yield f"| {scale:g} | " + " | ".join("" if v is None else decibel(v) for v in values) + " |"
    yield from front.older(found)


def _plot(found: Found) -> None:
    figure = Figure(figsize=(6, 4.2), layout="constrained")
    axes = figure.add_subplot()
    cases = sorted(found["cases"], key=lambda case: float(case["megapixels"]))
    for name, label in (("light", "light"), ("base", "base"), ("lanczos", "Lanczos (Pillow)")):
        points = [(c["megapixels"], c[name]) for c in cases if name in c]
        for part, style in (("total", "o-"), ("network", "x:")):
            if part in points[0][1]:
                sizes, times = zip(*((size, s[part]) for size, s in points), strict=True)
                axes.loglog(sizes, times, style, label=f"{label}, {part}")
    liif = found["liif"]
    size = next(c["megapixels"] for c in cases if c["name"] == FULL_HD) / liif["area"]
    axes.loglog([size, size * liif["area"]], [liif["total"], liif["total"] * liif["area"]], "--")
    axes.annotate("LIIF", (size, liif["total"]), xytext=(5, -3), textcoords="offset points")
    axes.set_xlabel("megapixels of the output")
    axes.set_ylabel("seconds")
    axes.grid(which="both", alpha=0.3)
    axes.legend(fontsize=8)
    figure.savefig(FOLDER / "speed.png", dpi=110)
