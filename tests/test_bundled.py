import subprocess
import sys
from pathlib import Path

import pytest

from ccsr import bundled
from ccsr.bundled import resource_dir


def test_conf_holds_the_presets() -> None:
    assert (resource_dir("conf") / "model" / "tiny.yaml").is_file()


def test_an_installed_package_holds_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = tmp_path / "ccsr"
    (package / "conf").mkdir(parents=True)
    (tmp_path / "conf").mkdir()
    (tmp_path / "data" / "samples").mkdir(parents=True)
    monkeypatch.setattr(bundled, "_PACKAGE", package)
    assert resource_dir("conf") == package / "conf"
    assert resource_dir("samples") == tmp_path / "data" / "samples"
    with pytest.raises(FileNotFoundError, match=r"no folder 'checkpoints' .* install ccsr again"):
        resource_dir("checkpoints")


def test_import_is_light_and_upscaler_comes_on_first_use() -> None:
    code = (
        "import sys, ccsr\n"
        "assert 'torch' not in sys.modules\n"
        "assert ccsr.Upscaler.__name__ == 'Upscaler'\n"
        "assert not hasattr(ccsr, 'Downscaler')\n"
    )
    subprocess.run([sys.executable, "-W", "error", "-c", code], check=True)
