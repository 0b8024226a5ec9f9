"""Settings that a run would not obey are refused before it begins."""

import pytest
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf

from ccsr.bundled import resource_dir
from ccsr.training.obeyed import check_heard, check_obeyed, check_roots
from runs import composed

CONF = resource_dir("conf")


@pytest.mark.long
def test_a_setting_at_the_top_that_nothing_looks_at_is_refused():
    with initialize_config_dir(str(CONF), version_base="1.3"):
        experiments = [f"experiment={path.stem}" for path in (CONF / "experiment").iterdir()]
        assert experiments
        for words in ([], *([each] for each in experiments)):
            check_obeyed(compose("train", overrides=words))
        check_obeyed(compose("train", overrides=["+width=8", "model.encoder.channels=${width}"]))
        cfg = compose("train", overrides=["+learning_rate=0.1"])
    with pytest.raises(ValueError, match=r"no setting 'learning_rate'.*'module\.learning_rate'"):
        check_obeyed(cfg)
    with pytest.raises(ValueError, match=r"no setting 'foo', and none refers to it$"):
        check_obeyed(OmegaConf.create({"foo": 1}))


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (
            ["module.decay=0.5"],
            r"module\.decay=0\.5 has no .* module\.schedule=cosine: leave it out",
        ),
        (["module.milestones=[0.1]"], r"beside module\.schedule=cosine.*schedule=steps"),
        (["+module.gamma=0.1", "module.schedule=constant"], "beside module.schedule=constant"),
        (["module.momentum=0.5", "module.optimizer=adamw"], "the first of module.betas"),
        (["data.scales.min=2", "data.scales.values=[2,3]"], r"values=\[2, 3\]: .*values=null"),
        (["data.scales.denominator=8", "data.scales.values=[2,3]"], r"=8 has no .*values=null"),
        (["data.scales.pairs=8", "data.scales.anisotropic=0"], "give data.scales.anisotropic"),
        (["data.val.subfolder=a", "data.val.root=b"], "give data.val.root=null"),
        (["data.scales.anisotropic=0.5", "data.scales.values=[2,2]"], "no two scales differ: give"),
        (["data.device_mb=9", "data.place=memory"], r"give data\.place=auto or device"),
        (["data.workers=2", "data.place=device"], r"give data\.place=auto or memory"),
        (["data.scales.pairs=8", "data.scales.values=[2]"], "no two scales differ: give"),
        (["data.subfolder=a", "data.root=null"], r"give data\.root=FOLDER"),
        (["data.val.subfolder=a", "data.root=null"], r"give data\.root=FOLDER"),
        (
            ["data.degradation.jpeg=0.5", "data.degradation.clean=1", "data/degradation=photo"],
            r"beside data\.degradation\.clean=1: .*give data\.degradation\.clean below 1",
        ),
        (
            ["data.degradation.levels=[0,5]", "data.degradation.noise=0", "data/degradation=photo"],
            r"beside data\.degradation\.noise=0: .*give data\.degradation\.noise, the share",
        ),
        (
            [
                "data.degradation.sigmas=[0,0.5]",
                "data.degradation.blur=0",
                "data/degradation=photo",
            ],
            r"give data\.degradation\.blur",
        ),
        (
            [
                "data.degradation.quality=[60,90]",
                "data.degradation.jpeg=0",
                "data/degradation=jpeg",
            ],
            r"give data\.degradation\.jpeg, webp or avif",
        ),
        (
            ["data.degradation.told=0.5", "data.degradation.jpeg=0", "data/degradation=jpeg"],
            r"give data\.degradation\.jpeg, the share",
        ),
        (
            ["data.degradation.told=0.5", "data/degradation=jpeg"],
            r"beside model\.encoder\.conditioned=None: .*give model\.encoder\.conditioned=true",
        ),
    ],
)
def test_a_setting_that_another_makes_meaningless_is_refused(words, message):
    cfg = OmegaConf.create(composed(*(word.lstrip("+") for word in words)))
    with pytest.raises(ValueError, match=message):
        check_heard(cfg, words)
    check_heard(cfg, words[1:])  # nobody typed it


@pytest.mark.parametrize("typed", ["data.scales.pairs=0", "data.scales.anisotropic=0.5"])
def test_a_share_of_batches_of_two_scales_needs_pairs(typed):
    cfg = OmegaConf.create(composed("data.scales.pairs=0", "data.scales.anisotropic=0.5"))
    with pytest.raises(ValueError, match=r"give data\.scales\.pairs"):
        check_heard(cfg, [typed])


def test_a_choice_of_data_with_folders_of_its_own_takes_one_root():
    cfg = OmegaConf.create({"data": {"root": ["a", "b"], "val": {"text": "${data.root}/val"}}})
    with pytest.raises(ValueError, match=r"takes one, got \['a', 'b'\]: give one, or data=folder"):
        check_roots(cfg)
    cfg.data.root = "a"
    check_roots(cfg)


def test_a_setting_that_is_looked_at_is_heard():
    words = ["module.schedule=steps", "module.milestones=[0.1]", "data.scales.min=2"]
    words += ["data.scales.anisotropic=0.5", "data.scales.pairs=[[2,3]]"]
    words += ["data.scales.denominator=8"]
    words += ["module=liif", "data.val.subfolder=null", "data.val.root=there"]
    words += ["data/degradation=photo", "data.degradation.jpeg=0", "data.degradation.halved=1"]
    check_heard(OmegaConf.create(composed(*words)), words)
    words = ["model=photo", "data/degradation=photo", "data.degradation.told=0.5"]
    check_heard(OmegaConf.create(composed(*words)), words)
    foreign = ["module._target_=mine.Module", "module.decay=0.5"]
    check_heard(OmegaConf.create(composed(*foreign)), foreign)
