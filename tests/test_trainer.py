import pytest

from ccsr import trainer
from ccsr.trainer import resolve_precision


@pytest.mark.parametrize(("native", "expected"), [(True, "bf16-mixed"), (False, "32-true")])
def test_auto_is_bfloat16_where_the_device_has_it(monkeypatch, native, expected):
    monkeypatch.setattr(trainer, "has_native_bfloat16", lambda device: native)
    assert resolve_precision("auto", "cpu") == expected
    assert resolve_precision("32-true", "cpu") == "32-true"
    assert resolve_precision(32, "cpu") == "32"


def test_float16_is_refused():
    with pytest.raises(ValueError, match="cannot be float16, got '16-mixed': use auto"):
        resolve_precision("16-mixed")
