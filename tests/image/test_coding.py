import io

import numpy as np
import pytest
from PIL import Image

from ccsr import image
from ccsr.bundled import resource_dir
from ccsr.image.coding import Coding, check_quality, coarsest_jpeg, coding

SAMPLES = ("chelsea.png", "camera.png", "hubble_deep_field.jpg")


def sample(name="chelsea.png"):
    with Image.open(resource_dir("samples") / name) as picture:
        return picture.convert("RGB")


def opened(picture, form, **options):
    stream = io.BytesIO()
    picture.save(stream, form, **options)
    return Image.open(stream)


@pytest.mark.parametrize("quality", [1, 4, 15, 30, 50, 75, 90, 99, 100])
def test_a_jpeg_tells_its_quality(quality):
    for mode in ("RGB", "L", "CMYK"):
        found = coding(opened(sample().convert(mode), "JPEG", quality=quality))
        assert found.form == "JPEG"
        assert str(found) == f"JPEG of quality {quality}"


@pytest.mark.thinned(3)
@pytest.mark.parametrize("name", SAMPLES)
@pytest.mark.parametrize("quality", [0, 1, 10, 30, 60, 75, 90, 93, 94, 95, 100])
@pytest.mark.parametrize("method", [0, 4])
def test_a_webp_tells_its_quality(name, quality, method):
    """Its segments have their own quantisers: their mean would be up to 7 below."""
    found = coding(opened(sample(name), "WEBP", quality=quality, method=method))
    assert found.form == "WebP"
    assert found.quality == pytest.approx(quality, abs=2 if 0 < quality < 93 else 0.5)


def test_a_webp_with_alpha_or_several_frames_tells_it_too():
    picture = sample()
    picture.putalpha(picture.getchannel("R"))
    assert coding(opened(picture, "WEBP", quality=60)).quality == pytest.approx(60, abs=2)
    several = opened(
        sample(), "WEBP", quality=60, save_all=True, append_images=[sample().rotate(90)]
    )
    assert coding(several).quality == pytest.approx(60, abs=2)


def test_what_is_lossless_has_none():
    assert coding(opened(sample(), "WEBP", lossless=True)) is None
    assert coding(opened(sample(), "PNG")) is None


def test_a_picture_is_decoded_as_before():
    for form in ("WEBP", "JPEG"):
        looked, plain = (opened(sample(), form, quality=60) for _ in range(2))
        coding(looked)
        assert looked.tobytes() == plain.tobytes()


@pytest.mark.parametrize("cut", range(12, 60, 3))
def test_a_header_that_is_cut_says_nothing_wrong(cut):
    stream = io.BytesIO()
    sample().save(stream, "WEBP", quality=60)
    picture = Image.open(io.BytesIO(stream.getvalue()))
    picture.fp = io.BytesIO(stream.getvalue()[:cut])
    found = coding(picture)
    assert found is None or 0 <= found.quality <= 100


def test_a_picture_that_is_read_knows_it(tmp_path):
    sample().save(tmp_path / "a.jpg", quality=62)
    sample().save(tmp_path / "a.png")
    assert image.read(tmp_path / "a.jpg").coding.quality == pytest.approx(62, abs=1)
    assert image.read(tmp_path / "a.png").coding is None


@pytest.mark.parametrize("form", ["JPEG", "WEBP", "MPO"])
def test_what_pillow_opened_knows_it_while_it_is_what_its_file_holds(tmp_path, form):
    sample().save(tmp_path / "a", form, quality=70)
    expected = image.read(tmp_path / "a").coding
    assert expected is not None
    with Image.open(tmp_path / "a") as picture:
        assert image.Picture.of(picture).coding == expected
        picture.load()
        assert image.Picture.of(picture).coding == expected
        for other in (picture.convert("L"), picture.crop((0, 0, 90, 80)), picture.copy()):
            assert image.Picture.of(other).coding is None
        picture.thumbnail((100, 100))
        assert image.Picture.of(picture).coding is None
    with Image.open(tmp_path / "a") as picture:
        picture.draft("RGB", (100, 100))
        smaller = picture.size != sample().size
        assert image.Picture.of(picture).coding == (None if smaller else expected)


@pytest.mark.parametrize("form", ["JPEG", "WEBP"])
def test_bytes_that_pillow_opened_tell_it_before_others_load_them(form):
    picture = opened(sample(), form, quality=70)
    expected = coding(opened(sample(), form, quality=70))
    assert expected is not None
    assert image.Picture.of(picture).coding == expected
    assert image.Picture.of(picture).coding == expected  # which we have loaded
    picture.thumbnail((100, 100))
    assert image.Picture.of(picture).coding is None
    other = opened(sample(), form, quality=70)
    other.load()  # its file is closed, and it may have been reduced
    assert image.Picture.of(other).coding is None


@pytest.mark.parametrize("quality", [0, 100.5, -1, float("nan"), True, "75", [75]])
def test_what_is_no_quality_is_refused(quality):
    with pytest.raises(ValueError, match="quality must be from 1 to 100, or None, got"):
        check_quality(quality)


def test_the_coarsest_jpeg_is_told_by_the_file_or_found_in_the_pixels():
    """What the file tells counts to the digit, unless its pixels were clearly coarser before."""
    coarse = opened(sample(), "JPEG", quality=50).convert("RGB")
    pixels = np.asarray(coarse)
    assert coarsest_jpeg(pixels, Coding("JPEG", 51)) == 51
    assert coarsest_jpeg(pixels, Coding("JPEG", 95)) == pytest.approx(50, abs=1)
    assert coarsest_jpeg(pixels, Coding("WebP", 20)) == pytest.approx(50, abs=1)
    assert coarsest_jpeg(pixels) == pytest.approx(50, abs=1)
    clean = np.asarray(sample())[:32, :32]
    assert coarsest_jpeg(clean, Coding("JPEG", 30)) == 30
    assert coarsest_jpeg(clean, Coding("WebP", 30)) is None
