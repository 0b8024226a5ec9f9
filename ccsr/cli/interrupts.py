"""What asks a command to end, and that it ends in one way."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


@contextmanager
def ended_as_interrupted() -> Iterator[None]:
    """SIGTERM, the word of Slurm, Kubernetes and shutdowns, means what Ctrl-C means."""

    def interrupt(number: int, frame: FrameType | None) -> None:
        handler = signal.getsignal(signal.SIGINT)
        if not callable(handler):  # shells let what they start in the background ignore Ctrl-C
            raise KeyboardInterrupt
        handler(signal.SIGINT, frame)

    usual = signal.getsignal(signal.SIGTERM)  # which Ray has made its own
    main = threading.current_thread() is threading.main_thread()
    if not main or usual in (None, signal.SIG_IGN):
        yield
        return
    signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, usual)
