"""The release script: what it refuses, and what it tells, with stand-ins for the long builds."""

import hashlib
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from documents import ROOT

MAKE = """#!/bin/sh
[ "$*" = "wheel small" ] || exit 1
rm -rf dist build
mkdir -p dist build/onnx
echo wheel > "dist/ccsr-${BUILT:-1.2.0}-py3-none-any.whl"
echo sdist > "dist/ccsr-${BUILT:-1.2.0}.tar.gz"
echo small > "build/onnx/ccsr_onnx-${SMALL:-1.2.0}-py3-none-any.whl"
"""
TRY = '#!/bin/sh\necho "$1" >> tried\nexit "${TRIED:-0}"\n'


class Checkout:
    """A small checkout of version 1.2.0, committed."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.bin = folder.parent / "bin"
        self.write("../bin/make", MAKE)
        self.write(".ci/try", TRY)
        self.write("ccsr/__init__.py", '__version__ = "1.2.0"\n')
        self.write("CHANGELOG.md", "# Changes\n\n## 1.2.0\n\n- one\n")
        self.write(".gitignore", "dist/\nbuild/\ntried\n")
        shutil.copy(ROOT / ".ci" / "release", folder / ".ci")
        self.git("init", "--quiet")
        self.commit()

    def write(self, name: str, text: str) -> None:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        path.chmod(0o755)

    def git(self, *words: str) -> None:
        who = ("-c", "user.name=a", "-c", "user.email=a@b", "-c", "tag.gpgSign=false")
        subprocess.run(["git", *who, *words], cwd=self.folder, check=True)

    def commit(self) -> None:
        self.git("add", "--all")
        self.git("-c", "commit.gpgSign=false", "commit", "--quiet", "-m", "state")

    def release(self, **variables: str) -> subprocess.CompletedProcess[str]:
        """Run the script, from another folder."""
        path = f"{self.bin}:{os.environ['PATH']}"
        return subprocess.run(
            [self.folder / ".ci" / "release"],
            env=os.environ | variables | {"PATH": path},
            cwd=self.folder.parent,
            capture_output=True,
            text=True,
            check=False,
        )

    def refusal(self, **variables: str) -> str:
        done = self.release(**variables)
        assert done.returncode == 1
        assert "to be uploaded" not in done.stdout
        return done.stderr


@pytest.fixture
def checkout(tmp_path: Path) -> Checkout:
    return Checkout(tmp_path / "checkout")


def test_a_tagged_commit_is_built_tried_and_told(checkout: Checkout) -> None:
    checkout.git("tag", "v1.2.0")
    done = checkout.release()
    assert (done.returncode, done.stderr) == (0, "")
    assert (checkout.folder / "tried").read_text() == "dist/ccsr-1.2.0.tar.gz\n"
    told = done.stdout.split("v1.2.0:\n")[1].splitlines()
    packages = {
        "dist/ccsr-1.2.0-py3-none-any.whl": "wheel\n",
        "dist/ccsr-1.2.0.tar.gz": "sdist\n",
        "build/onnx/ccsr_onnx-1.2.0-py3-none-any.whl": "small\n",
    }
    digests = {name: hashlib.sha256(text.encode()).hexdigest() for name, text in packages.items()}
    assert told == [
        *(f"{digest}  {name}" for name, digest in digests.items()),
        "nothing has been uploaded",
    ]


def test_no_tag_and_another_tag_are_refused(checkout: Checkout) -> None:
    assert "expected the tag v1.2.0 at this commit" in (error := checkout.refusal())
    assert "got none" in error
    checkout.git("tag", "v1.2.0rc1")
    checkout.git("tag", "1.2.0")
    assert "got 1.2.0\nv1.2.0rc1: correct the version" in checkout.refusal()
    assert not (checkout.folder / "dist").exists()


def test_a_tag_of_an_older_commit_is_refused(checkout: Checkout) -> None:
    checkout.git("tag", "v1.2.0")
    checkout.write("new", "")
    checkout.commit()
    assert "got none" in checkout.refusal()


@pytest.mark.parametrize("name", ["CHANGELOG.md", "stray.py"])
def test_a_tree_with_changes_is_refused(checkout: Checkout, name: str) -> None:
    checkout.git("tag", "v1.2.0")
    checkout.write(name, "## 1.2.0\n")
    error = checkout.refusal()
    assert "commit these files first" in error
    assert name in error
    assert not (checkout.folder / "dist").exists()


def test_changes_that_are_not_told_are_refused(checkout: Checkout) -> None:
    checkout.write("CHANGELOG.md", "## Unreleased\n## 1.2.01\n## 1x2.0\n")
    checkout.commit()
    checkout.git("tag", "v1.2.0")
    assert "CHANGELOG.md has no section ## 1.2.0" in checkout.refusal()


def test_packages_that_do_not_work_are_not_told(checkout: Checkout) -> None:
    checkout.git("tag", "v1.2.0")
    checkout.refusal(TRIED="1")
    assert "got dist/ccsr-1.1.0-py3-none-any.whl" in checkout.refusal(BUILT="1.1.0")
    assert "build/onnx/ccsr_onnx-1.1.0-py3-none-any.whl" in checkout.refusal(SMALL="1.1.0")


@pytest.mark.parametrize("script", ["run", "try", "release"])
def test_scripts_can_be_run(script: str) -> None:
    assert os.access(ROOT / ".ci" / script, os.X_OK)
    subprocess.run(["bash", "-n", str(ROOT / ".ci" / script)], check=True)
