from ccsr.trainer import resolve_precision


def test_precision():
    assert resolve_precision("bf16-mixed") == "bf16-mixed"
    assert resolve_precision("auto", "cpu") in ("bf16-mixed", "32-true")
