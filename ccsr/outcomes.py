"""What came of each picture: on the screen, at the end, in `--report`."""

import json
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Self, TextIO

from ccsr import pipeline
from ccsr.batch import Plan
from ccsr.outputs import Job, identity
from ccsr.pipeline import Outcome
from ccsr.progress import Progress
from ccsr.target import Target
from ccsr.upscale import Upscaler

SUFFIX = ".jsonl"
