"""`make site`: a page that enlarges pictures in the browser alone, as files for any web server.

It is the zoom page of `ccsr serve`, with `api.js`, by which that asks its server, replaced by
`local.js`, which computes by onnxruntime-web. That comes from npm, in one pinned version.
"""

import argparse
import base64
import hashlib
import json
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

import onnx

from ccsr.bundled import resource_dir

HERE = Path(__file__).resolve().parent
PAGE = HERE.parent / "ccsr" / "web" / "page"
MODELS = ("light", "photo")
FACTS = "models.json"  # what every page holds
PACKAGE = "onnxruntime-web@1.30.0"
SHA512 = "q0y+JrrtukXSzsBWEMccVfqX25LRmosXHF+CaRJmg8pZClzcV7svNc4rKY3jL02Vb7QmRMDs1SigqR4CXAfKYQ=="
RUNTIME = ("ort.wasm.min.mjs", "ort-wasm-simd-threaded.mjs", "ort-wasm-simd-threaded.wasm")
POLICY = (
    "default-src 'self'; script-src 'self' 'wasm-unsafe-eval'; worker-src 'self' blob:; "
    "img-src 'self' blob: data:; base-uri 'none'; form-action 'self'"
)


def build(out: Path, vendor: Path) -> None:
    """Write the page to `out`, in the place of an earlier one.

    Args:
        out: the folder.
        vendor: where the package of npm is kept between builds.

    Raises:
        RuntimeError: if npm is not there, or does not give the package.
        ValueError: if the package is not the one that is expected, or `out` holds something else.
    """
    if out.exists() and any(out.iterdir()) and not (out / FACTS).exists():
        raise ValueError(f"{out} holds other things than such a page: name a folder that does not")
    package = fetched(vendor)
    shutil.rmtree(out, ignore_errors=True)
    shutil.copytree(PAGE, out)
    shutil.copy(HERE / "local.js", out / "api.js")
    for name in ("bicubic.js", "compute.js", "quality.js", "sizes.js"):
        shutil.copy(HERE / name, out)
    index = out / "index.html"
    meta = f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">'
    index.write_text(index.read_text().replace("<head>", f"<head>\n  {meta}", 1))
    (out / "ort").mkdir()
    with tarfile.open(package) as archive:
        for name, member in [(n, f"package/dist/{n}") for n in RUNTIME]:
            content = archive.extractfile(member)
            assert content is not None
            (out / "ort" / name).write_bytes(content.read())
    files = [resource_dir("checkpoints") / f"{name}.onnx" for name in MODELS]
    radii = [_radius(shutil.copyfile(path, out / path.name)) for path in files]
    (out / FACTS).write_text(json.dumps({"radius": max(radii)}))


def fetched(vendor: Path) -> Path:
    """The package of npm, from `vendor` if it is there already."""
    vendor.mkdir(parents=True, exist_ok=True)
    path = vendor / f"{PACKAGE.replace('@', '-')}.tgz"
    if not path.exists():
        command = ["npm", "pack", PACKAGE, "--pack-destination", str(vendor)]
        try:
            subprocess.run(command, check=True, capture_output=True, text=True)
        except FileNotFoundError as error:
            raise RuntimeError("make site needs npm, which is not installed") from error
        except subprocess.CalledProcessError as error:
            raise RuntimeError(f"npm does not give {PACKAGE}: {error.stderr.strip()}") from error
    got = base64.b64encode(hashlib.sha512(path.read_bytes()).digest()).decode()
    if got != SHA512:
        path.unlink()
        raise ValueError(f"expected {PACKAGE} with the SHA-512 {SHA512}, got {got}: try again")
    return path


def _radius(path: Path) -> int:
    """How far from a position a model reads, as its file says."""
    model = onnx.load(path)
    return int(next(each.value for each in model.metadata_props if each.key == "radius"))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path)
    parser.add_argument("--vendor", type=Path, default=HERE.parent / "build" / "vendor")
    given = parser.parse_args()
    try:
        build(given.out, given.vendor)
    except (OSError, RuntimeError, ValueError) as error:
        sys.exit(f"error: {error}")
    print(f"the page: {given.out.resolve()}; python -m http.server -d {given.out} shows it")
