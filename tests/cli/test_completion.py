import subprocess
import sys

import pytest

from ccsr.cli.main import COMMANDS, main

ASK = """
source {script}
COMP_WORDS=({words} ""); COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1))
COMP_WORDS[COMP_CWORD]={word!r}
_shtab_ccsr ccsr {word!r} "${{COMP_WORDS[COMP_CWORD - 1]}}"
printf '%s\\n' "${{COMPREPLY[@]}}"
"""


@pytest.fixture(scope="module")
def bash(tmp_path_factory):
    """Completes a word behind others in bash."""
    script = tmp_path_factory.mktemp("bash") / "ccsr"
    command = [sys.executable, "-m", "ccsr", "completion", "bash"]
    script.write_bytes(subprocess.run(command, check=True, capture_output=True).stdout)

    def complete(words: str, word: str, **more) -> list[str]:
        line = ASK.format(script=script, words=words, word=word)
        done = subprocess.run(
            ["bash", "-c", line], check=True, capture_output=True, text=True, **more
        )
        return done.stdout.split()

    return complete


@pytest.mark.long
def test_commands_options_words_and_files(bash, tmp_path) -> None:
    assert set(bash("ccsr", "")) == set(COMMANDS)
    assert bash("ccsr upscale", "--lo") == ["--longest", "--lossless"]
    assert bash("ccsr upscale --exists", "") == ["error", "skip", "overwrite"]
    assert bash("ccsr export --exists", "o") == ["overwrite"]
    (tmp_path / "photo.jpg").touch()
    for words in ("upscale", "upscale --report", "report", "serve", "data open", "evaluate --data"):
        assert bash(f"ccsr {words}", "pho", cwd=tmp_path) == ["photo.jpg"], words


def test_other_shells(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["completion", "zsh"]) == 0
    assert capsys.readouterr().out.startswith("#compdef ccsr")
    with pytest.raises(SystemExit):
        main(["completion", "cmd"])
    assert "choose from" in capsys.readouterr().err


def test_without_shtab_the_extra_is_named(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "shtab", None)
    assert main(["completion", "bash"]) == 1
    assert "pip install 'ccsr[completion]'" in capsys.readouterr().err
