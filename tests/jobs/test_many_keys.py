"""What planning takes of the memory, by key of a bucket."""

import os
import subprocess
import sys
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest

from s3_server import environment
from stores import web

PAGE = 1000  # keys in an answer, as S3 gives them
CLIENT, EACH = 30e6, 800  # bytes of the client of S3, and of a key: a million take less than 1 GB
CHILD = """
import re, time
import fsspec
from ccsr.jobs.places import place
from ccsr.jobs.plan import make_plan
from ccsr.jobs.stores import store_of
from ccsr.jobs.target import Target

def memory(name):  # not ru_maxrss, which begins with that of the process before exec
    text = open("/proc/self/status").read()
    return 1024 * int(re.search(rf"^{name}:\\s+(\\d+) kB", text, re.MULTILINE)[1])

target = Target(scale=(2.0, 2.0))
fsspec.filesystem("memory").pipe_file("/b/in/a.png", b"")
make_plan([place("memory://b/in")], "memory://b/out/", target)  # which imports what is needed
given = place("s3://bucket/in")
store_of(given)
before, started = memory("VmRSS"), time.process_time()
plan = make_plan([given], "s3://bucket/out/", target, "skip", recursive=RECURSIVE)
print(len(plan.jobs), len(plan.skipped), memory("VmHWM") - before, time.process_time() - started)
"""


def bucket(count: int, recursive: bool, asked: list[str]):
    """Answers as a bucket with `count` pictures, half of them done.

    They lie in folders of a thousand, or all in one.
    """
    separator = "/" if recursive else "-"

    def answers(path: str) -> tuple[int, bytes]:
        query = {name: values[0] for name, values in parse_qs(urlsplit(path).query).items()}
        if "list-type" not in query:  # a key of that name is looked for
            return 404, b""
        asked.append(path)
        prefix = query.get("prefix", "")
        of, suffix = (count, ".jpg") if prefix == "in/" else (count // 2, "_2x.png")
        begin = int(query.get("continuation-token", 0))
        end = min(begin + int(query.get("max-keys", PAGE)), of)
        numbers = range(begin, end)
        entries = "".join(
            f"<Contents><Key>{prefix}{n // 1000:04d}{separator}picture-{n:07d}{suffix}</Key>"
            f"<LastModified>2026-01-01T00:00:00.000Z</LastModified><Size>{n}</Size>"
            f"<ETag>&quot;{n:032x}&quot;</ETag><StorageClass>STANDARD</StorageClass></Contents>"
            for n in numbers
        )
        token = f"<NextContinuationToken>{end}</NextContinuationToken>" if end < of else ""
        more = f"<IsTruncated>{str(end < of).lower()}</IsTruncated>{token}"
        text = f"<ListBucketResult><Name>bucket</Name>{more}{entries}</ListBucketResult>"
        return 200, text.encode()

    return answers


@pytest.mark.long
@pytest.mark.skipif(
    not Path("/proc/self/status").exists(), reason="needs the memory that Linux tells"
)
@pytest.mark.parametrize("recursive", [True, False], ids=["tree", "folder"])
def test_a_key_takes_less_than_a_kilobyte(
    recursive: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("s3fs")
    count = int(os.environ.get("KEYS", 100_000))
    asked: list[str] = []
    with web(bucket(count, recursive, asked)) as address:
        run = [sys.executable, "-c", CHILD.replace("RECURSIVE", str(recursive))]
        env = os.environ | environment(address)
        done = subprocess.run(run, env=env, capture_output=True, text=True, check=True)
    jobs, skipped, grown, seconds = map(float, done.stdout.split())
    with capsys.disabled():
        print(f"\n{count} keys: {grown / count:.0f} bytes and {1e6 * seconds / count:.0f} us each")
    assert (jobs, skipped) == (count - count // 2, count // 2)
    pages = [path for path in asked if "max-keys=1" not in path]
    assert all(("delimiter=%2F" in path) != recursive for path in pages)
    assert len(asked) < 1.5 * count / PAGE + 6
    assert grown < CLIENT + EACH * count
