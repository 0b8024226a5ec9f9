"""Every configuration composes, and every key of it binds to a constructor."""

import importlib
import inspect
import re

import pytest
import torch
from hydra import compose, initialize_config_dir
from hydra.core.override_parser.overrides_parser import OverridesParser
from omegaconf import OmegaConf

from ccsr.bundled import resource_dir
from ccsr.model import build
from ccsr.training.config import made, plain
from ccsr.training.data import PhotoData
from ccsr.training.degradation import Degradation
from ccsr.training.overrides import explain, for_hydra, quoted
from ccsr.training.scales import Scales
from ccsr.training.start import start_from
from ccsr.training.train import main
from ccsr.training.validation import ValidationSet
from runs import composed

CONF = resource_dir("conf")
CHOICES = [
    (path.parent.relative_to(CONF).as_posix(), path.stem)
    for path in sorted(CONF.rglob("*.yaml"))
    if path.parent != CONF
]


NEEDED = {"network": ["model.network.name=package.module:Class"]}  # of choices that lack a value


def bind(node, target=None):
    """Bind the keys of every node that has a `_target_`."""
    if not isinstance(node, dict):
        return
    arguments = {k: v for k, v in node.items() if k != "_target_"}
    if "_target_" in node:
        module, _, name = node["_target_"].rpartition(".")
        target = getattr(importlib.import_module(module), name)
    if target:
        known = inspect.signature(target).parameters
        assert set(arguments) <= set(known), f"{target} does not take {set(arguments) - set(known)}"
        if target is PhotoData:
            inspect.signature(target).bind(**arguments)
    inner = {}
    if target is PhotoData:
        inner = {"scales": Scales, "degradation": Degradation}
    for key, value in arguments.items():
        bind(value, inner.get(key))


@pytest.mark.thinned(3)
@pytest.mark.parametrize(("group", "choice"), CHOICES)
def test_every_choice_composes_and_binds(group, choice):
    config = composed(f"{group}={choice}", *NEEDED.get(choice, []))
    bind(config)
    val = {k: v for k, v in config["data"]["val"].items() if k not in ("root", "subfolder", "sets")}
    inspect.signature(ValidationSet).bind(files=[], **val)


@pytest.mark.parametrize(
    "choice", [c for group, c in CHOICES if group == "model" and c not in NEEDED]
)
def test_every_model_builds(choice):
    config = composed(f"model={choice}")["model"]
    assert config.pop("_target_") == "ccsr.model.build"
    with torch.device("meta"):
        build(**config)


@pytest.mark.parametrize(
    ("experiment", "init"),
    [
        ("light", "light"),
        ("base", "light"),
        ("base", "base"),
        ("elastic", "light"),
        ("photo", "light"),
        ("photo-base", "base"),
    ],
)
def test_an_experiment_can_start_from_what_is_shipped(experiment, init):
    network = made("model", composed(f"experiment={experiment}")["model"])
    start_from(network, init)


def test_the_groups_are_all_there():
    groups = {group for group, _ in CHOICES}
    assert groups == {
        "data", "data/degradation", "experiment", "logger", "model", "module", "trainer",
    }  # fmt: skip


def test_div2k_has_its_own_folders():
    data = composed("data=div2k")["data"]
    assert data["subfolder"] == "DIV2K_train_HR"
    assert data["val"]["root"] is None
    assert data["val"]["subfolder"] == "DIV2K_valid_HR"


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["trainer.max_stps=3"], r"no key 'trainer\.max_stps'; did you mean 'trainer\.max_steps'"),
        (["trainer.fast=3"], r"no key 'trainer\.fast'.* to add a new key: \+trainer\.fast=3$"),
        (["seed=1,2"], r"Ambiguous value .*use key=\[value1,value2\]; .*; 3\. .*add --multirun to"),
        (["+seed=3"], r"already at 'seed'\.; Either remove \+ prefix: 'seed=3'; Or add a second"),
        (["model=gradual", "model.stack.layrs=3"], r"did you mean 'model\.stack\.layers'"),
        (["modl=tiny"], "no key 'modl'; did you mean 'model'"),
        (["foo.bar=1"], r"no key 'foo\.bar'; to add a new key: \+foo\.bar=1$"),
        (["model=lihgt"], r"model has no choice 'lihgt'; did you mean 'light'.*choices: base, "),
        (["logger=null"], r"^logger must be one of .*csv.*, got null$"),
        (
            ["data/degradation=null"],
            "^data/degradation must be one of jpeg, none, photo, got null$",
        ),
        (["trainer=1"], "^trainer must be one of .*, got 1$"),
        (["callbacks=[]"], r"^callbacks is a group of settings: give callbacks\.NAME="),
        (["data=folder"], r"data\.root has no value: give data\.root=\.\.\.$"),
    ],
)
def test_mistakes_are_explained(overrides, message):
    with initialize_config_dir(str(CONF), version_base="1.3"), pytest.raises(Exception) as caught:
        OmegaConf.to_container(compose("train", overrides=overrides), throw_on_missing=True)
    with pytest.raises(ValueError, match=message):
        raise ValueError(explain(caught.value, overrides))


@pytest.mark.parametrize(
    "path",
    ["photos", "my photos", "Öl & Ähre (2), #1", "it's", "a=b", "back\\slash", "end\\", "$5;!~[{"],
)
@pytest.mark.parametrize(
    "key", ["data.root", "init", "data.subfolder", "data.val.subfolder", "data.val.sets.a-b.c"]
)
def test_any_path_goes_through_hydra(key, path):
    override = OverridesParser.create().parse_override(quoted(f"{key}={path}"))
    assert override.key_or_group == key
    assert override.value() == path


def test_a_path_that_is_added_goes_through_hydra():
    for plus in ("+", "++"):
        assert quoted(f"{plus}data.val.sets.text=a (1)") == f"{plus}data.val.sets.text='a (1)'"


def test_a_folder_that_is_a_file_is_told(tmp_path):
    (tmp_path / "a").touch()
    for path in (tmp_path / "a", tmp_path / "a" / "b"):
        with pytest.raises(OSError, match="a") as caught:
            path.mkdir()
        told = explain(caught.value, [])
        assert re.match("expected a folder, or the name of a new one, got .*a", told)


def test_memory_that_is_not_there_is_told_with_what_to_lower():
    for error in (
        MemoryError("Unable to allocate 71.5 GiB for an array"),
        MemoryError(),
        RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes."),
        RuntimeError("CUDA out of memory. Tried to allocate 2 GiB."),
    ):
        with pytest.raises(ValueError, match=r"not enough memory: lower data\.batch_size or"):
            raise ValueError(explain(error, []))


def test_each_path_of_a_list_goes_through_hydra():
    override = OverridesParser.create().parse_override(quoted("data.root=[my photos,b#1,'c,d']"))
    assert override.value() == ["my photos", "b#1", "c,d"]


@pytest.mark.parametrize(
    "argument", ["data.root='a b'", "data.root=['a',\"b c\"]", "data.root=null", "seed=3"]
)
def test_what_needs_no_quotes_is_left_alone(argument):
    assert quoted(argument) == argument


@pytest.mark.parametrize(
    ("argument", "values"),
    [
        ("data.root=a,b", ["a", "b"]),
        ("data.root=/a b/c,d#1", ["/a b/c", "d#1"]),
        ("data.root=[a,b],c", [["a", "b"], "c"]),
        ("data.root='a,b',c", ["a,b", "c"]),
        ("init=null,light", [None, "light"]),
        ("data.val.root=null,x", [None, "x"]),
        ("data.root=choice(a,b)", ["a", "b"]),
    ],
)
def test_paths_can_be_swept(argument, values):
    multirun, prepared = for_hydra([argument, "--multirun"])
    assert multirun == "--multirun"
    override = OverridesParser.create().parse_override(prepared)
    assert override.is_sweep_override()
    parser = OverridesParser.create()
    found = override.sweep_string_iterator()
    assert [parser.parse_override(f"x={v}").value() for v in found] == values


def test_a_path_with_a_comma_is_one_where_it_exists(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a,b").mkdir()
    assert for_hydra(["data.root=a,b", "-m"]) == ["-m", "data.root='a,b'"]
    assert for_hydra(["data.root=c,d"]) == ["data.root='c,d'"]


def test_home_is_a_folder(monkeypatch):
    monkeypatch.setenv("HOME", "/home/somebody")
    assert quoted("hydra.run.dir=~/runs") == "hydra.run.dir='/home/somebody/runs'"
    config = configured(
        quoted("data.root=[~/a,b]"), "data.val.root='~/v'", "data.cache='~/c'", "init='~/i'"
    )
    assert config["data"]["root"][0] == "/home/somebody/a"
    assert config["data"]["val"]["root"] == "/home/somebody/v"
    assert config["data"]["cache"] == "/home/somebody/c"
    assert config["init"] == "/home/somebody/i"


def configured(*overrides):
    with initialize_config_dir(str(CONF), version_base="1.3"):
        return plain(compose("train", overrides=["data.root=somewhere", *overrides]))


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("~data.val", r"data\.val must be a group of settings, it is missing"),
        ("data.val=3", r"data\.val must be a group of settings, got 3"),
        ("data.scales=5", r"data\.scales must be a group of settings, got 5"),
        ("~model", "model must be a group of settings, it is missing"),
        ("~trainer", "trainer must be a group of settings, it is missing"),
        ("callbacks=3", "callbacks must be a group of settings, got 3"),
        ("data.root=[]", r"data\.root is an empty list: give a path"),
        ("data.root=[a,'']", r"data\.root is empty, which would be this folder"),
        ("data.val.sets=3", r"data\.val\.sets must be a group of settings, got 3"),
        ("data.val.sets={a: null}", r"must give each set a folder, .* got 'a': None"),
        ("data.val.sets={a/b: c}", r"with a name of letters, .* got 'a/b': 'c'"),
    ],
)
def test_what_a_configuration_needs(override, message):
    with pytest.raises(ValueError, match=message):
        configured(override)


@pytest.mark.parametrize("seed", ["null", "abc", "-1", "2.5", "4294967296"])
def test_a_seed_is_an_integer(seed):
    with pytest.raises(ValueError, match=r"^seed must (be|not be) .*, got"):
        configured("data.seed=1", f"seed={seed}")


@pytest.mark.parametrize("override", ["~logger", "callbacks=null", "init=null"])
def test_what_may_be_left_out(override):
    config = configured(override)
    assert (config["logger"], config["init"]) == ({}, None)


@pytest.mark.parametrize(
    ("config", "message"),
    [
        (
            {"_target_": "nowhere.X"},
            r"^x: nowhere\.X cannot be imported, or .* \(.*'nowhere' is installed",
        ),
        ({"_target_": "ccsr.nothing"}, r"x: ccsr\.nothing cannot be imported.*correct the name"),
        (
            {"_target_": "fractions.Fraction", "a": 1},
            r"^x cannot be made from its settings, by fra",
        ),
        ({"a": 1}, "x has no _target_"),
        (3, "x must be a group of settings, got 3"),
    ],
)
def test_what_cannot_be_made_is_named(config, message):
    with pytest.raises(ValueError, match=message):
        made("x", config)


@pytest.mark.parametrize("key", ["data.root", "data.val.root", "data.cache", "init"])
def test_a_path_that_is_empty_is_not_this_folder(key):
    with initialize_config_dir(str(CONF), version_base="1.3"):
        cfg = compose("train", overrides=["data.root=somewhere", f"{key}=''"])
    with pytest.raises(ValueError, match=rf"^{key} is empty, which would be this folder"):
        plain(cfg)


@pytest.mark.parametrize("given", ["resume=", "hydra.run.dir=''", "hydra.sweep.dir="])
def test_a_folder_of_a_run_that_is_empty_is_not_this_folder(given, monkeypatch, capsys):
    monkeypatch.setattr("sys.argv", ["ccsr train", "trainer.max_steps=1", given])
    with pytest.raises(SystemExit):
        main()
    assert (
        f"{given.partition('=')[0]} is empty, which would be this folder" in capsys.readouterr().err
    )


def test_relative_paths_begin_where_the_command_was_given(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.argv", ["ccsr train", "data.root=photos", "hydra.job.chdir=true"])
    with pytest.raises(SystemExit):
        main()
    assert "hydra.job.chdir=true would make data.root" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_a_choice_of_a_group_is_not_its_value():
    with initialize_config_dir(str(CONF), version_base="1.3"):
        cfg = compose("train", overrides=["data.root=somewhere", "data.degradation=jpeg"])
    with pytest.raises(ValueError, match=r"got 'jpeg': choose one by data/degradation=jpeg$"):
        plain(cfg)
