"""Package a model for darktable's AI upscale: `upscale-ccsr-NAME.dtmodel`, with factors 2 and 4.

    python contrib/darktable/package.py [MODEL] [FOLDER]

`MODEL` is a name or a file, by default `light`; the package is written into `FOLDER`, by default
this one. darktable installs it in its preferences, from a file.
"""

import argparse
import json
import sys
import zipfile
from pathlib import Path
from tempfile import TemporaryDirectory

from ccsr import __version__
from ccsr.atomic import replacing
from ccsr.export import save
from ccsr.model import checkpoint

TILES = {2: 512, 4: 256}  # sides of what darktable hands over, for each factor that it offers


def package(model: str, folder: Path) -> Path:
    """Write the package into a folder that exists, and return its path.

    Raises:
        ValueError: for an unknown or unsound model.
        OSError: if the file is there already, or the file system refuses.
    """
    source = checkpoint.resolve(model)
    network, summary = checkpoint.load(source)
    name = f"upscale-ccsr-{source.stem}"
    target = folder / f"{name}.dtmodel"
    if target.exists():
        raise FileExistsError(f"{target} exists already: remove it first")
    described = {
        "id": name,
        "name": f"upscale ccsr {source.stem}",
        "description": "Continuous convolution, 2x and 4x",
        "task": "upscale",
        "arch": "ccsr",
        "backend": "onnx",
        "version": __version__,
        "tiling": True,
        "attributes": {f"model_x{scale}": {"input_sizes": [side]} for scale, side in TILES.items()},
        "model_card": {"author": "The ccsr authors", "license": summary.get("licence", "unknown")},
    }
    with (
        TemporaryDirectory() as room,
        replacing(target) as temporary,
        zipfile.ZipFile(temporary, "w", zipfile.ZIP_DEFLATED) as archive,
    ):
        archive.writestr(f"{name}/config.json", json.dumps(described, indent=4) + "\n")
        for scale, side in TILES.items():
            path = Path(room) / f"model_x{scale}.onnx"
            save(path, network, scale, size=(side, side), name=source.stem, summary=summary)
            archive.write(path, f"{name}/{path.name}")
    return target


if __name__ == "__main__":
    words = argparse.ArgumentParser(description="Package a model for darktable's AI upscale.")
    words.add_argument("model", nargs="?", default="light", help="a name or a file; default: light")
    words.add_argument("folder", nargs="?", default=".", type=Path, help="where it goes")
    args = words.parse_args()
    try:
        print(package(args.model, args.folder))
    except (ValueError, OSError) as error:
        sys.exit(f"error: {error}")
