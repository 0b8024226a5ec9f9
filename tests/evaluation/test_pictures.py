"""Other programs' pictures are scored as outputs of methods are, and outputs come back as such."""

import re

import numpy as np
import pytest
import torch
from PIL import Image

from ccsr import image
from ccsr.evaluation.dump import Dump, DumpError
from ccsr.evaluation.measure import Comparison, measure
from ccsr.evaluation.methods import build
from ccsr.evaluation.pictures import Pictures
from ccsr.evaluation.testsets import find
from ccsr.image.degrade import Degrade
from ccsr.protocols import PROTOCOLS

BENCHMARK = PROTOCOLS["benchmark-y"]
TWO, WIDE = (2.0, 2.0), (1.5, 4.0)


@pytest.fixture
def truth(tmp_path):
    """Two smooth pictures of colour and a grey one."""
    root = tmp_path / "Small"
    root.mkdir()
    generator = torch.Generator().manual_seed(0)
    for name, channels in (("a", 3), ("b", 3), ("c", 1)):
        noise = torch.rand(1, channels, 61, 74, generator=generator)
        soft = torch.nn.functional.avg_pool2d(noise, 5, 1, 2)[0]
        image.write(image.to_image(soft), root / f"{name}.png")
    return root


def comparison(protocol=BENCHMARK, scales=(TWO,), **more):
    methods = build(["bicubic", "lanczos"], protocol, "cpu", "fp32")
    return Comparison(methods, scales, protocol, **more)


def measured(truth, plan):
    testset = find(truth)
    return measure(plan, [(testset, key) for key in testset.names()])


def pixels(path):
    return np.asarray(Image.open(path)).astype(np.float64)


def scores(findings, model):
    return [
        (r.image, r.scale, r.scores.psnr, r.scores.ssim, r.scores.consistency)
        for r in findings.records
        if r.model == model
    ]


@pytest.mark.parametrize("protocol", PROTOCOLS.values(), ids=PROTOCOLS)
def test_what_is_written_is_scored_again_to_the_same(truth, tmp_path, protocol):
    folder = tmp_path / "dump"
    dump = Dump(folder, ["bicubic", "lanczos"])
    written = measured(truth, comparison(protocol, (TWO, WIDE), dump=dump))
    assert not written.left_out
    again = [Pictures("again", folder / "lanczos")]
    found = measured(truth, comparison(protocol, (TWO, WIDE), pictures=again))
    assert not found.left_out
    expected, got = scores(written, "lanczos"), scores(found, "again")
    assert [row[:2] for row in got] == [row[:2] for row in expected]
    values = np.array([row[2:] for row in got]), np.array([row[2:] for row in expected])
    if protocol.rounded:
        assert np.array_equal(*values)
    else:  # 16 bits
        np.testing.assert_allclose(*values, atol=1e-4)
    assert all(r.scores.seconds is None for r in found.records if r.model == "again")


def test_what_methods_were_given_is_written_too(truth, tmp_path):
    chain = Degrade.parse("noise:5")
    dump = Dump(tmp_path / "dump", ["bicubic", "lanczos"])
    made = measured(truth, comparison(degrade=chain, dump=dump))
    given = comparison(lr=tmp_path / "dump" / "LR" / "benchmark-y+noise5")
    assert scores(measured(truth, given), "lanczos") == scores(made, "lanczos")


def test_the_psnr_is_that_of_the_protocol(truth, tmp_path):
    """Against numpy: luma of 8-bit pixels, two shaved at each border."""
    folder = tmp_path / "X2"
    folder.mkdir()
    for name in "abc":
        picture = Image.open(truth / f"{name}.png").crop((0, 0, 74, 60))
        shifted = Image.fromarray(np.asarray(picture) // 2 + 60)
        shifted.save(folder / f"{name}_mine.png")
    found = measured(truth, comparison(pictures=[Pictures("mine", tmp_path / "X2")]))
    weights = np.array([65.481, 128.553, 24.966]) / 255
    for name, _, psnr, *_ in scores(found, "mine"):
        one, other = pixels(truth / name)[:60, :74], pixels(folder / name.replace(".", "_mine."))
        difference = (one - other)[2:-2, 2:-2]
        difference = difference @ weights if difference.ndim == 3 else difference
        assert psnr == pytest.approx(10 * np.log10(255**2 / (difference**2).mean()), abs=1e-4)


def save(truth, folder, change=lambda picture: picture):
    """The truths at the scale 2, changed."""
    folder.mkdir(parents=True)
    for path in truth.iterdir():
        change(Image.open(path).crop((0, 0, 74, 60))).save(folder / path.name)
    return Pictures("theirs", folder)


def test_grey_pictures_may_be_stored_as_colour_and_the_other_way(truth, tmp_path):
    as_colour = save(truth, tmp_path / "one", lambda picture: picture.convert("RGB"))
    found = measured(truth, comparison(pictures=[as_colour]))
    assert [psnr for _, _, psnr, *_ in scores(found, "theirs")] == [np.inf] * 3
    for path in truth.iterdir():  # now all truths are colour pictures without any colour
        Image.open(path).convert("L").convert("RGB").save(path)
    as_grey = save(truth, tmp_path / "two", lambda picture: picture.convert("L"))
    found = measured(truth, comparison(pictures=[as_grey]))
    assert [psnr for _, _, psnr, *_ in scores(found, "theirs")] == [np.inf] * 3


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda x: x.resize((76, 62)), r"76x62 pixels, expected 74x60, to which .* crops a\.png"),
        (lambda x: x.convert("L"), r"is grey, and a\.png is not: expected colours"),
        (lambda x: Image.merge("LA", [x.convert("L")] * 2), "is partly transparent"),
    ],
)
def test_pictures_of_another_kind_are_left_out(truth, tmp_path, change, reason):
    theirs = save(truth, tmp_path / "theirs", change)
    found = measured(truth, comparison(pictures=[theirs]))
    (first,) = [each for each in found.left_out if each.image == "a.png"]
    assert re.search(reason, first.reason)


def test_a_picture_that_is_missing_leaves_its_image_out(truth, tmp_path):
    theirs = save(truth, tmp_path / "theirs")
    (tmp_path / "theirs" / "b.png").unlink()
    found = measured(truth, comparison(pictures=[Pictures("theirs", theirs.folder)]))
    (left_out,) = found.left_out
    assert "theirs: no picture of b.png of Small at the scale 2 in" in left_out.reason
    assert "expected such as Small/X2/bx2.png, X2/b.png or b_x2_SR.png" in left_out.reason
    assert {r.image for r in found.records} == {"a.png", "c.png"}


def at(truth, tmp_path, *files, scale=TWO, protocol=BENCHMARK, degrade=None):
    """Which of the files is taken for a.png."""
    root = tmp_path / "theirs"
    for file in files:
        (root / file).parent.mkdir(parents=True, exist_ok=True)
        (root / file).touch()
    plan = comparison(protocol, pictures=[], degrade=degrade)
    found = Pictures("theirs", root).find(plan.case(find(truth), "a.png", scale))
    return found.relative_to(root).as_posix()


@pytest.mark.parametrize(
    ("taken", "other"),
    [
        ("X2/a.png", "X3/a.png"),
        ("a_x2.png", "a.png"),
        ("Small/a.png", "Other/a.png"),
        ("results-Small/x2/a_me.png", "results-Other/x2/a_me.png"),
        ("benchmark-y/X2/a.png", "X2/a.png"),
        ("benchmark-y/X2/a.png", "liif-y/X2/a.png"),
        ("X2/a.png", "benchmark-y+jpeg40/X2/a.png"),
    ],
)
def test_what_says_more_of_what_it_is_is_taken(truth, tmp_path, taken, other):
    assert at(truth, tmp_path, taken, other) == taken


def test_several_pictures_for_one_image_are_an_error(truth, tmp_path):
    with pytest.raises(ValueError, match=r"several pictures .* a\.png of Small at the scale 2: "):
        at(truth, tmp_path, "X2/a_one.png", "X2/a_two.png")


def test_pictures_of_degraded_images_must_say_so(truth, tmp_path):
    chain = Degrade.parse("jpeg:40+noise:3")
    with pytest.raises(FileNotFoundError, match=r"that --dump writes in LR/benchmark-y\+jpeg40"):
        at(truth, tmp_path, "X2/a.png", degrade=chain)
    inside = "benchmark-y+jpeg40+noise3/X2/a.png"
    assert at(truth, tmp_path, "X2/a.png", inside, degrade=chain) == inside


def test_pictures_of_another_protocol_are_named(truth, tmp_path):
    with pytest.raises(FileNotFoundError, match=r"benchmark-y/Small/X2.*; liif-y/X2/a\.png is of"):
        at(truth, tmp_path, "liif-y/X2/a.png")


def test_no_folder_and_an_empty_one(tmp_path):
    with pytest.raises(NotADirectoryError, match="--results: expected a folder of pictures"):
        Pictures("theirs", tmp_path / "missing")
    with pytest.raises(ValueError, match="holds no pictures, nor do the folders in it"):
        Pictures("theirs", tmp_path)


def test_missing_for_all_images_is_an_error_before_any_work(truth, tmp_path):
    save(truth, tmp_path / "theirs" / "X2")
    testset, plan = find(truth), comparison()
    keys = testset.names()
    (tmp_path / "theirs" / "X2" / "a.png").unlink()
    theirs = Pictures("theirs", tmp_path / "theirs")
    theirs.check([plan.case(testset, key, TWO) for key in keys])
    with pytest.raises(FileNotFoundError, match=r"no picture of .* at the scale 3"):
        theirs.check([plan.case(testset, key, (3.0, 3.0)) for key in keys])


def test_methods_that_would_share_a_folder_are_refused(tmp_path):
    with pytest.raises(ValueError, match="would write 'a:b' and another into one folder"):
        Dump(tmp_path, ["a:b", "a/b"])
    with pytest.raises(ValueError, match="would write 'LR' and another"):
        Dump(tmp_path, ["lr"])


def test_a_dump_that_cannot_be_written_blames_no_image(truth, tmp_path):
    (tmp_path / "dump").write_bytes(b"")  # no folder
    with pytest.raises(DumpError, match="cannot write"):
        measured(truth, comparison(dump=Dump(tmp_path / "dump", ["bicubic", "lanczos"])))
