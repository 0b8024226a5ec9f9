"""The recipes for clusters: their shell lines give commands that ccsr understands."""

import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml

from ccsr.cli import upscale_options
from documents import ROOT

DEPLOY = ROOT / "deploy"
STAND_IN = f"""#!{sys.executable}
import subprocess, sys
assert sys.argv[1:4] == ["--quote", "--jobs", "3"]
for line in sys.stdin:
    subprocess.run([word.replace("{{}}", line.strip()) for word in sys.argv[4:]], check=True)
"""  # for GNU parallel


@pytest.fixture
def calls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Runs a script with a ccsr that notes its words; gives them, a list for each call."""
    (tmp_path / "bin").mkdir()
    ccsr = tmp_path / "bin" / "ccsr"
    ccsr.write_text(f'#!/bin/sh\nprintf "%s\\n" "$@" "" >> {tmp_path}/words\nexit "${{CODE:-0}}"\n')
    ccsr.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")
    monkeypatch.chdir(tmp_path)

    def run(*command: str, **variables: str):
        (tmp_path / "words").unlink(missing_ok=True)
        env = os.environ | variables
        done = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
        text = (tmp_path / "words").read_text() if (tmp_path / "words").exists() else ""
        return done.returncode, [part.split("\n") for part in text.strip("\n").split("\n\n")]

    return run


def shard(words: list[str]) -> tuple[int, int]:
    """Of a call of `ccsr upscale`, which it must understand."""
    command, *rest = words
    assert command == "upscale"
    args = upscale_options.parser().parse_args(rest)
    upscale_options.check(args, pytest.fail)
    assert args.exists == "skip"
    assert args.report.suffix == ".jsonl"
    assert args.output.endswith("/")
    assert str(args.shard.number) in args.report.name
    return tuple(args.shard)


@pytest.mark.parametrize(("count", "given"), [(8, {}), (3, {"SHARDS": "3"})])
def test_slurm(calls, count: int, given: dict[str, str]) -> None:
    """Also where a part of the array is given again: nothing but the task's number counts."""
    for number in range(1, count + 1):
        code, [words] = calls(
            str(DEPLOY / "slurm.sh"), "my in", "my out", "--scale", "2",
            SLURM_ARRAY_TASK_ID=str(number), SLURM_ARRAY_TASK_MIN="2",
            SLURM_ARRAY_TASK_COUNT="1", SLURM_CPUS_PER_TASK="4", **given,
        )  # fmt: skip
        assert code == 0
        assert words[1] == "my in"
        assert shard(words) == (number, count)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["slurm.sh", "in", "out"], "usage: sbatch deploy/slurm.sh IN OUT"),
        (["parallel.sh", "2", "in"], "usage: deploy/parallel.sh PROCESSES IN OUT"),
        (
            ["parallel.sh", "0", "in", "out"],
            "expected a number of processes of at least 1, got '0'",
        ),
        (
            ["parallel.sh", "in", "out", "2"],
            "expected a number of processes of at least 1, got 'in'",
        ),
    ],
)
def test_scripts_say_what_they_expect(words: list[str], said: str) -> None:
    script, *rest = words
    done = subprocess.run([DEPLOY / script, *rest], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr.startswith(said)


@pytest.mark.parametrize(
    ("code", "told", "end"),
    [
        (0, None, 0), (1, "remaining", 1),
        *(
            pytest.param(*each, marks=pytest.mark.long)
            for each in ((1, "failed", 0), (130, "remaining", 130), (1, "", 1), (1, None, 1))
        ),
    ],
)  # fmt: skip
def test_kubernetes(calls, tmp_path: Path, code: int, told: str | None, end: int) -> None:
    """A pod ends well if its report tells of every picture, and not since an old one does."""
    noting = tmp_path / "bin" / "ccsr"
    noting.rename(tmp_path / "bin" / "noting")
    real = f'exec {sys.executable} -m ccsr "$@"'
    write = (
        "" if told is None else f"cp {tmp_path}/told out/run-$((JOB_COMPLETION_INDEX + 1)).jsonl;"
    )
    noting.write_text(f'#!/bin/sh\n[ "$1" = report ] && {real}\n{write} exec noting "$@"\n')
    noting.chmod(0o755)
    line = {"source": "a", "output": "b", "status": told, "error": "cannot read a", "of": 1}
    (tmp_path / "told").write_text(json.dumps(line) + "\n" if told else "")
    spec = yaml.safe_load((DEPLOY / "kubernetes.yaml").read_text())["spec"]
    (container,) = spec["template"]["spec"]["containers"]
    variables = {each["name"]: each["value"] for each in container["env"]}
    assert int(variables["TOTAL"]) == spec["completions"]
    (tmp_path / "out").mkdir()
    for index in (0, spec["completions"] - 1):
        old = json.dumps(line | {"status": "skipped"}) + "\n"
        (tmp_path / "out" / f"run-{index + 1}.jsonl").write_text(old)
        ended, [words] = calls(
            *container["command"], *container["args"],
            JOB_COMPLETION_INDEX=str(index), CODE=str(code), PYTHONPATH=str(ROOT), **variables,
        )  # fmt: skip
        assert ended == end
        assert shard(words) == (index + 1, spec["completions"])


def test_parallel(calls, tmp_path: Path) -> None:
    if shutil.which("parallel") is None:
        (tmp_path / "bin" / "parallel").write_text(STAND_IN)
        (tmp_path / "bin" / "parallel").chmod(0o755)
    code, calls_made = calls(str(DEPLOY / "parallel.sh"), "3", "my in", "my out", "--scale", "2")
    assert code == 0
    *upscale, report = calls_made
    assert report == ["report", *(f"my out/run-{number}.jsonl" for number in (1, 2, 3))]
    _, calls_made = calls(str(DEPLOY / "parallel.sh"), "3", "in", "s3://b/out/", "--scale", "2")
    assert calls_made[-1][1:3] == ["s3://b/out/run-1.jsonl", "s3://b/out/run-2.jsonl"]
    assert {shard(words) for words in upscale} == {(1, 3), (2, 3), (3, 3)}
    assert all(words[1] == "my in" for words in upscale)


@pytest.mark.parametrize("script", ["parallel.sh", "slurm.sh"])
def test_scripts_are_of_the_plain_shell(script: str) -> None:
    assert os.access(DEPLOY / script, os.X_OK)
    subprocess.run(["sh", "-n", str(DEPLOY / script)], check=True)


def test_dockerfile_installs_what_there_is() -> None:
    text = (DEPLOY / "Dockerfile").read_text()
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    (extras,) = re.findall(r"'\.\[(.+)\]'", text)
    assert set(extras.split(",")) <= set(project["optional-dependencies"])
    (torch,) = re.findall(r"'(torch[^']+)'", text)
    assert torch in project["dependencies"]
    ignored = (DEPLOY / "Dockerfile.dockerignore").read_text().splitlines()
    sent = [line[1:] for line in ignored if line.startswith("!")]
    for name in sent:
        assert (ROOT / name).exists()
    targets = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["hatch"]["build"][
        "targets"
    ]
    for pattern in targets["wheel"]["include"]:
        assert any(pattern.startswith(f"/{name}") for name in sent), pattern
    assert "remote" in extras.split(",")  # the packages of stores are the argument STORES
    assert "$STORES" in text
