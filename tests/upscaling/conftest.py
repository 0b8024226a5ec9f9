import pytest

from ccsr import Upscaler
from networks import tiny


@pytest.fixture
def bicubic() -> Upscaler:
    return Upscaler(tiny(None), precision="fp32")


@pytest.fixture
def upscaler() -> Upscaler:
    return Upscaler(tiny(), precision="fp32")
