"""Folders of `ccsr train` as models: a run, and the jobs of a sweep."""

import zlib

import pytest
import torch

from ccsr.evaluation.methods import build, under
from ccsr.evaluation.results import Record, Scores, means, over_runs
from ccsr.evaluation.runs import is_sweep, jobs
from ccsr.model import checkpoint
from ccsr.protocols import PROTOCOLS
from networks import tiny

pytest.importorskip("omegaconf")
BENCHMARK, LIIF = PROTOCOLS["benchmark-y"], PROTOCOLS["liif-rgb"]


def run(folder, settings="", done=True):
    """A run's folder, as a training leaves it."""
    folder.mkdir(parents=True)
    (folder / "config.yaml").write_text(settings)
    if done:
        network = tiny()
        torch.manual_seed(zlib.crc32(str(folder).encode()))
        for weight in network.parameters():
            torch.nn.init.normal_(weight, std=0.1)
        checkpoint.save(folder / "model.safetensors", network, {"folder": str(folder)})
    return folder


def sweep(folder, *settings, done=()):
    for number, text in enumerate(settings):
        run(folder / str(number), text, done=not done or number in done)
    (folder / "multirun.yaml").write_text("hydra: {}\n")
    return folder


def settings(seed, channels=48, more=""):
    return (
        f"seed: {seed}\ndata:\n  seed: {seed}\nmodel:\n  encoder:\n    channels: {channels}\n{more}"
    )


def refuse(sentence):
    raise AssertionError(sentence)


def test_the_folder_of_a_run_is_its_model(tmp_path):
    folder = run(tmp_path / "2026-11-27_train")
    (method,) = build([str(folder)], BENCHMARK, "cpu")
    assert (method.name, method.kind) == ("2026-11-27_train", None)
    assert method.checkpoint == folder / "model.safetensors"
    assert build([f"{folder}/"], BENCHMARK, "cpu")[0].name == "2026-11-27_train"
    assert build([f"{folder}+flips"], BENCHMARK, "cpu")[0].name == "2026-11-27_train+flips"


def test_a_run_that_has_not_come_to_its_end_says_what_there_is(tmp_path):
    folder = run(tmp_path / "run", done=False)
    with pytest.raises(FileNotFoundError, match=r"holds no model\.safetensors, which .* end: give"):
        build([str(folder)], BENCHMARK, "cpu")
    checkpoint.save(folder / "best.safetensors", tiny(), {})
    with pytest.raises(FileNotFoundError, match=r"give \S+run/best\.safetensors"):
        build([str(folder)], BENCHMARK, "cpu")


def test_labels(tmp_path):
    folder = run(tmp_path / "lr=1")
    names = [f"mine={folder}", f"{folder}+flips", f"four={folder}@4+lanczos", "kernel=lanczos"]
    found = build(names, BENCHMARK, "cpu")
    assert [m.name for m in found] == ["mine", "lr=1+flips", "four", "kernel"]
    assert {m.kind for m in found} == {None}


@pytest.mark.parametrize("name", ["=light", "mine="])
def test_half_a_label_is_refused(name):
    with pytest.raises(ValueError, match=f"expected NAME=FILE, got '{name}'"):
        build([name], BENCHMARK)


def test_two_models_of_one_name_are_refused(tmp_path):
    folder = run(tmp_path / "run")
    with pytest.raises(ValueError, match="two models are called 'lanczos': give one of them"):
        build(["lanczos", f"lanczos={folder}"], BENCHMARK)


def test_several_of_one_label_are_runs_of_one_kind(tmp_path):
    one, two = run(tmp_path / "one"), run(tmp_path / "another")
    found = build([f"mine={one}", "lanczos", f"mine={two}"], BENCHMARK, "cpu")
    assert [(m.name, m.kind) for m in found] == [
        ("mine/1", "mine"), ("lanczos", None), ("mine/2", "mine"),
    ]  # fmt: skip


def test_one_network_is_no_two_runs(tmp_path):
    folder = run(tmp_path / "one")
    twice = [f"mine={folder}", f"mine={folder / 'model.safetensors'}"]
    with pytest.raises(ValueError, match="hold the same network, which is one run of 'mine'"):
        build(twice, BENCHMARK, "cpu")
    assert len(build([twice[0], f"{twice[1]}+flips"], BENCHMARK, "cpu")) == 2


def test_one_network_in_two_files_is_no_two_runs(tmp_path):
    """They may differ in what they tell of the training."""
    one, two = run(tmp_path / "one") / "model.safetensors", tmp_path / "two.safetensors"
    checkpoint.save(two, checkpoint.load(one)[0], {"licence": "another"})
    assert one.read_bytes() != two.read_bytes()
    with pytest.raises(ValueError, match="hold the same network, which is one run of 'mine'"):
        build([f"mine={one}", f"mine={two}"], BENCHMARK, "cpu")


def test_jobs_that_differ_by_seeds_are_one_kind(tmp_path):
    folder = sweep(tmp_path / "sweep", *(settings(seed) for seed in range(11)))
    assert is_sweep(folder)
    assert not is_sweep(folder / "0")
    found = jobs(folder, "mine", refuse)
    assert {job.kind for job in found} == {"mine"}
    assert [job.name for job in found] == [f"mine/{n}" for n in range(11)]  # 10 after 9


def test_what_else_differs_names_the_kinds(tmp_path):
    several = [settings(seed, channels) for channels in (32, 48) for seed in (1, 2)]
    found = jobs(sweep(tmp_path / "sweep", *several), "s", refuse)
    assert [job.kind for job in found] == [
        "s[channels=32]", "s[channels=32]", "s[channels=48]", "s[channels=48]",
    ]  # fmt: skip
    many = "a: {0}\nb: {0}\nc: {0}\nd: {0}\n"
    several = [settings(seed, more=many.format(n)) for n in (1, 2) for seed in (1, 2)]
    found = jobs(sweep(tmp_path / "many", *several), "s", refuse)
    assert [job.kind for job in found] == ["s[0]", "s[0]", "s[2]", "s[2]"]


def test_jobs_without_a_model_are_told(tmp_path):
    told = []
    folder = sweep(tmp_path / "sweep", *(settings(seed) for seed in range(3)), done=(0, 2))
    assert [job.folder.name for job in jobs(folder, "s", told.append)] == ["0", "2"]
    assert len(told) == 1
    assert "jobs without a model.safetensors" in told[0]
    assert told[0].endswith(": 1")
    unfinished = sweep(tmp_path / "none", settings(1), done=(7,))
    with pytest.raises(ValueError, match=r"none of its 1 jobs has a model\.safetensors yet"):
        jobs(unfinished, "s", refuse)


def test_a_sweep_is_as_many_methods_as_jobs(tmp_path):
    folder = sweep(tmp_path / "sweep", settings(1), settings(2))
    found = build([f"mine={folder}+flips", str(folder)], BENCHMARK, "cpu", warn=refuse)
    assert [(m.name, m.kind) for m in found] == [
        ("mine/0", "mine"), ("mine/1", "mine"), ("sweep/0", "sweep"), ("sweep/1", "sweep"),
    ]  # fmt: skip
    assert len({m.checkpoint for m in found}) == 2


def test_another_protocol_wants_another_bicubic_and_the_same_networks(tmp_path):
    methods = build(["b=bicubic", "lanczos", str(run(tmp_path / "run"))], BENCHMARK, "cpu")
    others = under(methods, LIIF)
    assert [m.name for m in others] == [m.name for m in methods]
    assert others[2] is methods[2]
    lr = torch.randint(0, 256, (3, 6, 7), dtype=torch.uint8)
    smooth = others[0].upscale(lr, (12, 14))
    (expected,) = build(["bicubic"], LIIF)
    assert torch.equal(smooth, expected.upscale(lr, (12, 14)))
    assert not torch.equal(smooth, methods[0].upscale(lr, (12, 14)))


def test_mean_and_deviation_are_of_the_runs_means():
    psnr = {"s/0": (30.0, 32.0), "s/1": (33.0, 35.0), "s/2": (30.0, 30.0), "light": (1.0, 2.0)}
    records = [
        Record("Set5", image, (2, 2), model, (1, 1), (2, 2), Scores(v, 0.5, 40, None, None), "p")
        for model, values in psnr.items()
        for image, v in zip("ab", values, strict=True)
    ]
    kinds = {name: "s" for name in psnr if name != "light"}
    sweep_, light = over_runs(means(records), kinds)
    assert (sweep_.model, sweep_.runs, sweep_.images) == ("s", 3, 2)
    assert sweep_.scores.psnr == pytest.approx((31 + 34 + 30) / 3)
    expected = torch.tensor([31.0, 34.0, 30.0], dtype=torch.float64).std().item()
    assert sweep_.deviations.psnr == pytest.approx(expected)
    assert sweep_.deviations.lpips is sweep_.deviations.seconds is None
    assert (light.runs, light.deviations) == (1, None)
    assert light.row()["psnr_deviation"] is None
    assert sweep_.row()["psnr_deviation"] == pytest.approx(expected)
