"""What a picture can be made of."""

from typing import Any

import numpy as np
import pytest
import torch

from ccsr.image import Picture

LEVELS = np.zeros((9, 11, 3), np.uint8)


@pytest.mark.parametrize(
    ("frames", "message"),
    [
        ((), "at least one frame, got an empty one"),
        (LEVELS, r"got ndarray: give Picture\(\(values,\)\)"),
        ((LEVELS[..., 0],), r"expected levels \(h, w, C\) .* got uint8 \(9, 11\)"),
        ((LEVELS / 255,), r"expected levels .* got float64 \(9, 11, 3\)"),
        ((LEVELS[:0],), r"expected levels .* got uint8 \(0, 11, 3\)"),
    ],
)
def test_pictures_hold_what_files_hold(frames: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Picture(frames)


@pytest.mark.parametrize("frame", [torch.zeros(3, 4, 4), [[1]], np.ma.array(LEVELS)])
def test_frames_are_arrays(frame: Any) -> None:
    with pytest.raises(TypeError, match=r"expected an array of levels \(h, w, C\), got "):
        Picture((frame,))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"durations": (100,)}, "a duration for each of 2 frames, got 1"),
        ({"durations": (100, 100, 100)}, "a duration for each of 2 frames, got 3"),
        ({"durations": (100, -5)}, "a duration must be 0 to 2147483647 ms, got -5"),
        ({"durations": (100, float("nan"))}, "a duration must be .* got nan"),
        ({"durations": ("1", "2")}, "a duration must be .* got '1'"),
        ({"loop": -1}, "loop must be a whole number of at least 0, got -1"),
        ({"loop": None}, "loop must be a whole number of at least 0, got None"),
    ],
)
def test_animations_have_the_times_of_files(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Picture((LEVELS, LEVELS), **options)
    with pytest.raises(ValueError, match="an animation must have one size"):
        Picture((LEVELS, LEVELS[1:]), durations=(1, 1))
    assert Picture((LEVELS, LEVELS[1:])).several == "pages"
