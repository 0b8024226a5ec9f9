import json
from pathlib import Path

import pytest
from PIL import Image

from ccsr.cli.main import main


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for number in range(6):
        Image.new("RGB", (9, 7), (number, 0, 0)).save(tmp_path / f"{number}.png")
    (tmp_path / "bad\x1b.png").write_bytes(b"")
    return tmp_path


def test_shards_and_their_reports(folder: Path, model: str, capsys) -> None:
    """The union of the shards is byte for byte one run, and the reports are one report."""

    def upscale(out: str, *more: str) -> int:
        words = ["upscale", str(folder), "-o", f"{folder / out}/", "--scale", "2", "--quiet"]
        return main([*words, "--model", model, *more])

    assert upscale("whole") == 1
    reports = [f"{folder}/run-{number}.jsonl" for number in (1, 2)]
    codes = [upscale("parts", "--shard", f"{n}/2", "--report", reports[n - 1]) for n in (1, 2)]
    assert sorted(codes) == [0, 1]
    whole, parts = (
        {path.name: path.read_bytes() for path in (folder / name).iterdir()}
        for name in ("whole", "parts")
    )
    assert whole == parts
    assert len(parts) == 6
    capsys.readouterr()
    assert main(["report", *reports]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert lines[:2] == [
        "7 pictures: 6 done, 1 failed",
        rf"failed: cannot read {folder}/bad\x1b.png: the file is empty",
    ]
    assert lines[2].startswith("0.0 million pixels: ")
    assert main(["report", reports[0]]) == 1
    assert "there is no report of shard 2/2" in capsys.readouterr().out
    assert main(["report", "--json", *reports]) == 1
    found = json.loads(capsys.readouterr().out)
    assert (found["pictures"], found["done"], found["complete"]) == (7, 6, False)
    (folder / "bad\x1b.png").unlink()
    assert upscale("parts", "--exists", "skip", "--report", f"{folder}/again.jsonl") == 0
    assert main(["report", f"{folder}/again.jsonl"]) == 0
    assert capsys.readouterr().out == "6 pictures: 6 done, 0 failed\n"


def test_what_is_no_report_is_refused(folder: Path, capsys) -> None:
    (folder / "a.jsonl").write_text("{}\n")
    assert main(["report", str(folder / "a.jsonl")]) == 1
    assert "a.jsonl is no report of ccsr upscale" in capsys.readouterr().err
