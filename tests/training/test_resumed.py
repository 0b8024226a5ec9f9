"""What a run that is taken up again may change, and whose functions it may name."""

import pytest
from omegaconf import OmegaConf

from ccsr.training.config import resumed
from runs import composed


@pytest.fixture
def run(tmp_path):
    OmegaConf.save(OmegaConf.create(composed("data.val.root=there")), tmp_path / "config.yaml")
    return tmp_path


def test_a_resumed_run_can_change_what_leaves_it_the_same(run):
    cfg = resumed(run, ["trainer.max_steps=900", "data.root=[a,b]", "data.val.root=my val"])
    assert cfg.trainer.max_steps == 900
    assert list(cfg.data.root) == ["a", "b"]
    assert cfg.data.val.root == "my val"
    assert resumed(run, ["data.root=/a #1: b"]).data.root == "/a #1: b"


@pytest.mark.parametrize(
    ("argument", "message"),
    [
        ("model.encoder.blocks=9", "cannot change when a run is resumed"),
        ("data.patch=16", "cannot change"),
        ("trainer.max_stps=9", r"no key 'trainer\.max_stps'; did you mean 'trainer\.max_steps'"),
        ("logger=wandb", r"'logger' cannot be replaced as a whole: give logger\.NAME="),
        ("trainer=ddp", "'trainer' cannot be replaced as a whole"),
        ("--multirun", "expected key=value beside resume=..., got '--multirun'"),
    ],
)
def test_a_resumed_run_refuses_the_rest(run, argument, message):
    with pytest.raises(ValueError, match=message):
        resumed(run, [argument])


def test_the_sets_of_validation_may_be_others(run):
    cfg = resumed(run, ["data.val.sets={a: there, b: here}"])
    assert cfg.data.val.sets == {"a": "there", "b": "here"}
    OmegaConf.save(cfg, run / "config.yaml")
    assert resumed(run, ["data.val.sets.c=my place"]).data.val.sets.c == "my place"
    assert resumed(run, ["data.val.sets={d: there}"]).data.val.sets == {"d": "there"}
    assert resumed(run, ["data.val.sets=null"]).data.val.sets is None
    with pytest.raises(ValueError, match=r"data\.val\.sets must be null or {NAME: FOLDER, ...}"):
        resumed(run, ["data.val.sets=there"])


def test_resume_needs_a_run(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"expects a run's folder with a config\.yaml"):
        resumed(tmp_path, [])


@pytest.mark.parametrize(
    ("key", "name"),
    [
        ("model._target_", "torch.load"),
        ("callbacks.more._target_", "os.system"),
        ("data.val.root._target_", "builtins.eval"),
        ("trainer.plugins.0._target_", "subprocess.run"),
    ],
)
def test_a_folder_that_names_a_function_is_not_resumed(run, key, name):
    cfg = OmegaConf.load(run / "config.yaml")
    if key.startswith("trainer.plugins"):
        cfg.trainer.plugins = [{"_target_": name}]
    else:
        OmegaConf.update(cfg, key, name, force_add=True)
    OmegaConf.save(cfg, run / "config.yaml")
    with pytest.raises(ValueError, match=rf"names '{name}', which no configuration of ccsr does"):
        resumed(run, [])
    with pytest.raises(ValueError, match=r"if you trust the folder, add .*_target_="):
        resumed(run, ["trainer.max_steps=9"])


def test_a_function_that_is_named_is_trusted(run):
    cfg = OmegaConf.load(run / "config.yaml")
    cfg.callbacks.mine = {"_target_": "mine.Callback"}
    OmegaConf.save(cfg, run / "config.yaml")
    assert resumed(run, ["callbacks.mine._target_=mine.Callback"]).callbacks.mine
    with pytest.raises(ValueError, match=r"names 'mine\.Callback'"):
        resumed(run, ["callbacks.mine._target_=mine.Other"])


def test_a_resumed_run_refuses_what_it_would_not_look_at(run):
    with pytest.raises(ValueError, match=r"module\.decay=0\.1 has no meaning"):
        resumed(run, ["module.decay=0.1"])
    assert resumed(run, ["module.decay=0.1", "module.schedule=trapezoid"]).module.decay == 0.1


@pytest.mark.parametrize(
    "content",
    [b"", b"hello", b"[1, 2]", b"a: [", b"seed: 1\n    name: x\n", b"\xff\xfe", b"data: {root: a}"],
)
def test_a_damaged_configuration_is_named(run, content):
    (run / "config.yaml").write_bytes(content)
    with pytest.raises(ValueError, match=r"config\.yaml is damaged"):
        resumed(run, [])


def test_a_run_that_never_began_is_told(tmp_path):
    (tmp_path / "train.log").touch()
    with pytest.raises(
        FileNotFoundError, match="ended before its first step, give its own command"
    ):
        resumed(tmp_path, [])
