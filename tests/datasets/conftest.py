from contextlib import contextmanager

import pytest

from wicked import Wicked


@pytest.fixture
def wicked():
    server = Wicked()
    yield server
    server.close()


@pytest.fixture
def small_files():
    """Makes this process unable to write more than so many bytes to a file, as on a full disk."""
    resource = pytest.importorskip("resource")

    @contextmanager
    def limited(size):
        before = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
        try:
            yield
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, before)

    return limited
