import pytest

from wicked import Wicked


@pytest.fixture
def wicked():
    server = Wicked()
    yield server
    server.close()
