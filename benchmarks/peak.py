"""A child process: enlarges one picture and tells its peak memory. Linux only.

`python -m benchmarks.peak SOURCE OUTPUT HEIGHT WIDTH [MEMORY]` prints JSON.
"""

import json
import re
import sys
import time
from pathlib import Path
from typing import Any

import torch

from ccsr import Upscaler, image
from ccsr.jobs import large_tiff


def status(field: str) -> int:
    """Bytes of VmRSS (now) or VmHWM (the highest so far) of this process."""
    match = re.search(rf"^{field}:\s+(\d+) kB", Path("/proc/self/status").read_text(), re.MULTILINE)
    if match is None:
        raise RuntimeError(f"expected {field} in /proc/self/status, got none: use Linux")
    return int(match[1]) * 1024


def main(source: str, output: str, height: str, width: str, memory: str = "") -> dict[str, Any]:
    """Enlarge as `ccsr upscale` does; memory in bytes, over that of the interpreter with torch."""
    torch.rand(8, 8) @ torch.rand(8, 8)
    before = status("VmRSS")
    size = (int(height), int(width))
    upscaler = Upscaler.load("light", precision="fp32", memory=int(memory) if memory else None)
    picture = image.read(source)
    streamed = large_tiff.worthwhile(upscaler, picture, size, Path(output))
    started = time.perf_counter()
    if streamed:
        large_tiff.enlarge(upscaler, picture.frames[0], Path(output), size=size)
        seconds = time.perf_counter() - started
    else:
        result = upscaler(picture, size=size)
        seconds = time.perf_counter() - started
        image.write(result, output)
    return {
        "interpreter": before,
        "peak": status("VmHWM") - before,
        "seconds": seconds,
        "streamed": streamed,
        "file": Path(output).stat().st_size,
    }


if __name__ == "__main__":
    print(json.dumps(main(*sys.argv[1:])))
