"""A disk that has no room for more."""

import resource
from contextlib import contextmanager


@contextmanager
def files_of_at_most(size):
    """A limit that the system keeps, as a full disk would: also within native code."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
