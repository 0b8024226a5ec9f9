import pytest

from ccsr.training import trainer
from ccsr.training.trainer import resolve_precision


@pytest.mark.parametrize(("native", "expected"), [(True, "bf16-mixed"), (False, "32-true")])
def test_auto_is_bfloat16_where_the_device_has_it(monkeypatch, native, expected):
    monkeypatch.setattr(trainer, "has_native_bfloat16", lambda device: native)
    assert resolve_precision("auto", "cpu") == expected
    assert resolve_precision("32-true", "cpu") == "32-true"
    assert resolve_precision(32, "cpu") == "32"


def test_float16_is_refused():
    with pytest.raises(ValueError, match="cannot be float16, got '16-mixed': use auto"):
        resolve_precision("16-mixed")


def test_bfloat16_that_is_emulated_is_told(monkeypatch, caplog):
    monkeypatch.setattr(trainer, "has_native_bfloat16", lambda device: False)
    assert resolve_precision("bf16-mixed", "cpu") == "bf16-mixed"
    assert "this cpu has no bfloat16 and emulates it: 32-true is faster" in caplog.text


def test_a_gpu_that_is_not_there_is_refused(monkeypatch):
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    monkeypatch.setattr("torch.backends.mps.is_available", lambda: False)
    with pytest.raises(ValueError, match=r"trainer\.accelerator=gpu needs a GPU.*use auto or cpu"):
        resolve_precision("auto", "gpu")
