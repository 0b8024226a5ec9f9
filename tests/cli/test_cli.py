import importlib
import json
import runpy
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from ccsr import __version__
from ccsr.cli.main import COMMANDS, main
from ccsr.model import checkpoint


@pytest.mark.parametrize("argument", ["--help", "--version", "help"])
def test_help_and_version_import_no_torch(argument: str) -> None:
    code = (
        "import sys\nfrom ccsr.cli.main import main\n"
        f"assert main([{argument!r}]) == 0\n"
        "assert not {'torch', 'numpy', 'PIL', 'hydra'} & set(sys.modules)\n"
    )
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code], check=True, capture_output=True, text=True
    )
    assert "ccsr" in done.stdout


def test_usage_errors_import_no_torch() -> None:
    code = (
        "import sys\nfrom ccsr.cli.main import main\n"
        "try:\n    main(['upscale', 'a.png'])\n"
        "except SystemExit as error:\n    assert error.code == 2\n"
        "assert 'torch' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)


def test_python_m_ccsr() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "ccsr", "--version"], check=True, capture_output=True, text=True
    )
    assert done.stdout.strip() == f"ccsr {__version__}"


def test_no_command_and_unknown_commands(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 2
    assert "usage: ccsr COMMAND" in capsys.readouterr().err
    assert main(["upscael"]) == 2
    assert "unknown command 'upscael': did you mean 'upscale'?" in capsys.readouterr().err
    assert main(["xyz"]) == 2
    expected = f"expected one of {', '.join(sorted([*COMMANDS, '--help', '--version']))}"
    assert expected in capsys.readouterr().err
    assert main(["version"]) == 2
    assert capsys.readouterr().err.endswith("did you mean '--version'?\n")


@pytest.fixture
def shipped(model: str, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = Path(model).parent
    monkeypatch.setattr(checkpoint, "resource_dir", lambda name: folder)
    return folder


def test_models(shipped: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["models"]) == 0
    text = capsys.readouterr().out
    assert "tiny: " in text
    assert "licence: MIT" in text
    assert main(["models", "--json"]) == 0
    (entry,) = json.loads(capsys.readouterr().out)
    loaded, _ = checkpoint.load(shipped / "tiny.safetensors")
    assert entry == {
        "name": "tiny",
        "parameters": sum(p.numel() for p in loaded.parameters()),
        "file": str(shipped / "tiny.safetensors"),
        "summary": {"licence": "MIT"},
    }


def test_no_models(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(checkpoint, "resource_dir", lambda name: tmp_path)
    assert main(["models"]) == 0
    assert "train one with `ccsr train`" in capsys.readouterr().out


def test_train_hands_the_overrides_to_the_module(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[object] = []

    def run_module(name: str, run_name: str, alter_sys: bool) -> None:
        seen.append((name, run_name, alter_sys, sys.argv[1:]))

    monkeypatch.setattr(runpy, "run_module", run_module)
    before = list(sys.argv)
    assert main(["train", "model=tiny", "--cfg", "job"]) == 0
    assert seen == [("ccsr.training.train", "__main__", True, ["model=tiny", "--cfg", "job"])]
    assert sys.argv == before


@pytest.mark.parametrize(
    "package", ["hydra", "omegaconf", pytest.param("pytorch_lightning", marks=pytest.mark.long)]
)
def test_train_without_its_packages_names_the_extra(package: str) -> None:
    code = (
        f"import sys\nsys.modules[{package!r}] = None\n"
        "from ccsr.cli.main import main\nsys.exit(main(['train']))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    expected = f"ccsr train needs the package {package}, which is not installed: run pip install"
    assert done.stderr.startswith(f"ccsr: error: {expected}")


@pytest.mark.long
def test_analyze_without_the_packages_of_training_names_the_extra(tmp_path: Path) -> None:
    code = (
        "import sys\nsys.modules['hydra'] = None\n"
        "from ccsr.cli.main import main\n"
        f"sys.exit(main(['analyze', 'gradual', '--data', '.', '--out', {str(tmp_path)!r}]))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "ccsr analyze needs the package hydra, which is not installed" in done.stderr


def test_evaluate_gets_its_arguments(monkeypatch: pytest.MonkeyPatch) -> None:
    from ccsr.cli import evaluate

    monkeypatch.setattr(evaluate, "main", lambda argv: len(argv))
    assert main(["evaluate", "--data", "x", "--scales", "2"]) == 4


@pytest.mark.parametrize(
    "words",
    [
        ["upscale", "", "--scale", "2"],
        ["upscale", "a.png", "-o", "", "--scale", "2"],
        ["upscale", "a.png", "--scale", "2", "--report", ""],
        ["evaluate", "--data", "", "--scales", "2"],
        ["evaluate", "--data", "a", "--scales", "2", "--out", ""],
        ["analyze", "alignment", "--out", ""],
        ["export", "--scale", "2", "-o", ""],
    ],
)
def test_a_path_that_is_empty_is_not_this_folder(words, capsys):
    with pytest.raises(SystemExit) as stopped:
        main(words)
    assert stopped.value.code == 2
    assert "expected a path, got an empty text" in capsys.readouterr().err


@pytest.mark.parametrize("command", ["evaluate", "analyze", "export", "report", "models", "data"])
def test_the_word_to_end_is_an_interrupt_for_every_command(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], command: str
) -> None:
    """But for training and the server, which end otherwise."""
    before = signal.signal(signal.SIGTERM, signal.SIG_DFL)
    module = importlib.import_module(f"ccsr.cli.{command}")
    monkeypatch.setattr(module, "main", lambda words: signal.raise_signal(signal.SIGTERM))
    try:
        assert main([command, "--json"]) == 130
        assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
    finally:
        signal.signal(signal.SIGTERM, before)
    assert json.loads(capsys.readouterr().err) == {"error": "interrupted"}
