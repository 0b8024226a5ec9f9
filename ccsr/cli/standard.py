"""Standard input and output in the place of a picture's file."""

import shutil
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from ccsr import image, terminal
from ccsr.choices import FileFormat
from ccsr.cli.arguments import STANDARD
from ccsr.jobs.places import Place
from ccsr.jobs.stores import store_of


@contextmanager
def standard_streams(
    inputs: Sequence[Place | str], output: str | None, file_format: FileFormat
) -> Iterator[tuple[list[Place], str | None]]:
    """Files that stand for standard input and output, where they are asked for.

    A picture may be read more than once, and is written whole or not at all, so the bytes lie in a
    folder that is removed at the end. Messages call them by what they stand for.

    Args:
        inputs: files and folders; or standard input alone.
        output: where the results go; or standard output.
        file_format: of what is written there.

    Yields:
        The inputs and the output, all of them paths. On leaving without an exception a result that
        is for standard output is written there.

    Raises:
        ValueError: if the format cannot be told, several pictures are asked for, or standard output
            is a terminal.
        OSError: if there is no standard input, or its bytes find no room.
    """
    files = [Path(given) if isinstance(given, str) else given for given in inputs]
    if STANDARD not in inputs and output != STANDARD:
        yield files, output
        return
    named = output not in (None, STANDARD) and Path(str(output)).suffix
    if STANDARD in inputs and file_format == "same" and not named:
        raise ValueError(
            "standard input has no suffix, so --format same does not tell the format of the "
            "result: name the format"
        )
    with TemporaryDirectory(prefix="ccsr-") as name:
        received = Path(name, "input")
        if STANDARD in inputs:
            files = [received]
            terminal.call(str(received), "standard input")
        result = None
        if output == STANDARD:
            suffix = image.suffix_for(file_format, "" if files == [received] else files[0].suffix)
            result = Path(name, f"output{suffix}")
            terminal.call(str(result), "standard output")
            _check(files)
        if STANDARD in inputs:
            _receive(received)
        yield files, str(result) if result else output
        if result and result.exists():
            with result.open("rb") as file:
                shutil.copyfileobj(file, sys.stdout.buffer)
            sys.stdout.flush()


def _check(files: Sequence[Place]) -> None:
    if len(files) > 1 or store_of(files[0]).is_folder(files[0]):
        raise ValueError("only one picture fits into standard output: name a folder by -o")
    if sys.stdout.isatty():
        raise ValueError(
            "standard output is a terminal, which cannot show a picture's bytes: redirect it, or "
            "name a file by -o"
        )


def _receive(path: Path) -> None:
    try:
        with path.open("wb") as file:
            shutil.copyfileobj(sys.stdin.buffer, file)
    except OSError as error:
        raise OSError(f"cannot read standard input: {error.strerror or error}") from error
