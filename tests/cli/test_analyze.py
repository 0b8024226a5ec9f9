import json
from collections.abc import Collection
from pathlib import Path

import pytest
from PIL import Image

from ccsr.analysis import ANALYSES, Analysis
from ccsr.analysis.findings import Findings, Options, Table
from ccsr.cli import analyze
from ccsr.cli.main import main
from ccsr.evaluation import plots
from ccsr.model import checkpoint
from networks import tiny


def fake(options: Options) -> Findings:
    def draw(path: Path) -> None:
        Image.new("L", (2, 2)).save(path)

    return Findings(
        [Table("A table", [["name", "value"], ["x", "1"]])],
        [{"limit": options.limit, "value": float("inf")}],
        {"one.png": draw},
    )


@pytest.fixture(autouse=True)
def analyses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(ANALYSES, "alignment", Analysis(fake, "a fake", ("limit",)))


def test_the_table_is_printed_and_nothing_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["analyze", "alignment"]) == 0
    assert capsys.readouterr().out == "A table\nname   value\nx          1\n"
    assert not list(tmp_path.iterdir())


def test_records_and_pictures_go_to_the_folder(tmp_path: Path) -> None:
    out = tmp_path / "new" / "results"
    assert main(["analyze", "alignment", "--limit", "3", "--out", str(out)]) == 0
    assert sorted(path.name for path in out.iterdir()) == [
        "alignment.json",
        "alignment.md",
        "one.png",
    ]
    markdown = "A table:\n\n| name | value |\n|---|---:|\n| x | 1 |\n"
    assert (out / "alignment.md").read_text() == markdown
    document = json.loads((out / "alignment.json").read_text())
    assert document["analysis"] == "alignment"
    assert document["command"] == f"ccsr analyze alignment --limit 3 --out {out}"
    assert document["records"] == [{"limit": 3, "value": "inf"}]


def test_what_cannot_be_written_is_printed_all_the_same(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "alignment.md").mkdir()
    assert main(["analyze", "alignment", "--out", str(tmp_path)]) == 1
    printed = capsys.readouterr()
    assert printed.out == "A table\nname   value\nx          1\n"
    assert "cannot write" in printed.err


def test_without_matplotlib_there_are_no_pictures_and_it_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(plots, "available", lambda: False)
    assert main(["analyze", "alignment", "--out", str(tmp_path)]) == 0
    assert {path.name for path in tmp_path.iterdir()} == {"alignment.json", "alignment.md"}
    assert "pictures need matplotlib: pip install 'ccsr[evaluate]'" in capsys.readouterr().err


def test_an_unknown_name_shows_what_is_near(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["analyze", "alignmnet"])
    assert caught.value.code == 2
    assert "unknown analysis 'alignmnet': did you mean 'alignment'" in capsys.readouterr().err


def test_the_help_names_every_analysis() -> None:
    text = analyze.parser().format_help()
    assert all(f"  {name} " in text for name in ANALYSES)


def test_models_of_one_name_are_refused_before_any_work(capsys: pytest.CaptureFixture[str]) -> None:
    models = ["a/model.safetensors", "b/model.safetensors"]
    assert main(["analyze", "ensembles", "--model", *models]) == 1
    assert "expected different names, got model twice" in capsys.readouterr().err


def test_flags_that_an_analysis_does_not_read_are_refused(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["analyze", "alignment", "--limit", "2", "--steps", "3", "--data", "x"]) == 1
    assert "alignment has no use for --data and --steps" in capsys.readouterr().err


def test_the_flags_of_heads_reach_it(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[Options] = []

    def note(options: Options) -> Findings:
        seen.append(options)
        return fake(options)

    monkeypatch.setitem(ANALYSES, "heads", ANALYSES["heads"]._replace(run=note))
    assert main(["analyze", "heads", "--test", "t", "--encoder", "small", "--steps", "9"]) == 0
    assert seen == [Options(test=Path("t"), encoder="small", steps=9)]
    assert main(["analyze", "heads", "--test", "t", "--model", "a", "--model", "b"]) == 0
    assert seen[1] == Options(["a", "b"], test=Path("t"))


def test_finished_runs_leave_nothing_to_train(capsys: pytest.CaptureFixture[str]) -> None:
    words = ["--model", "a", "--data", "d", "--steps", "9", "--encoder", "small"]
    assert main(["analyze", "heads", *words]) == 1
    assert "it has no use for --data and --encoder and --steps" in capsys.readouterr().err


@pytest.mark.parametrize("place", ["", "results"])
def test_results_among_the_images_are_refused(
    place: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(ANALYSES, "effort", ANALYSES["effort"]._replace(run=fake))
    words = ["analyze", "effort", "--data", str(tmp_path), "--out"]
    assert main([*words, str(tmp_path / place)]) == 1
    assert "would count as images of" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())
    beside = tmp_path.parent / f"{tmp_path.name}-results"
    assert main([*words, str(beside)]) == 0


def test_a_file_in_place_of_the_folder_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(SystemExit) as caught:
        main(["analyze", "alignment", "--out", str(tmp_path / "file" / "below")])
    assert caught.value.code == 2
    assert "--out: expected a folder, or the name of a new one" in capsys.readouterr().err


def test_runs_whose_folders_have_dots_in_their_names(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(ANALYSES, "effort", ANALYSES["effort"]._replace(run=fake))
    assert main(["analyze", "effort", "--model", "runs/rate0.1", "runs/rate0.2"]) == 0
    names = [checkpoint.called(each) for each in ("runs/x2.5", "a/b.safetensors", "light")]
    assert names == ["x2.5", "b", "light"]


def test_the_flags_of_heads_are_its_own(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["analyze", "alignment", "--test", "t", "--encoder", "small"]) == 1
    assert "alignment has no use for --test and --encoder" in capsys.readouterr().err


@pytest.mark.parametrize("name", [name for name, each in ANALYSES.items() if "model" in each.reads])
def test_trust_reaches_whatever_loads_a_network(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class LoadedError(Exception):
        pass

    def look(architecture: object, trust: Collection[str]) -> None:
        raise LoadedError(*trust)

    checkpoint.save(tmp_path / "mine.safetensors", tiny(), {})
    monkeypatch.setattr(checkpoint, "check_trusted", look)
    words = [name, "--model", str(tmp_path / "mine.safetensors"), "--trust", "one", "two"]
    with pytest.raises(LoadedError) as found:
        analyze.main(words)
    assert found.value.args == ("one", "two")


def test_trust_without_a_network_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["analyze", "alignment", "--trust", "one"]) == 1
    assert "alignment has no use for --trust: leave that out" in capsys.readouterr().err
