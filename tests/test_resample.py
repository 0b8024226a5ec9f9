"""Geometry from hand-computed cases and identities; fixed kernels against Pillow."""

import math

import numpy as np
import pytest
import torch
from PIL import Image

from ccsr.grid import Axis, ProjectedGrid, as_pair, neighbours, output_size
from ccsr.resample import add_resized, needed, normalised_weights, reduce_uint8, resize

SCALES = [1.0, 4 / 3, 1.5, 2.0, 2.37, 3.0, math.pi, 8.0, 0.5, 0.73, (1.5, 4.0), (0.5, 3.0)]


@pytest.mark.parametrize(
    ("size", "scale", "expected"),
    [
        ((5, 5), 1.5, (8, 8)),  # 7.5: halves go up
        ((3, 5), 0.5, (2, 3)),
        ((1, 7), 0.1, (1, 1)),  # never below 1
        ((337, 225), 2.37, (799, 533)),
        ((10, 10), (0.5, 3.0), (5, 30)),
    ],
)
def test_output_size(size, scale, expected):
    assert output_size(size, scale) == expected


@pytest.mark.parametrize("scale", [0.0, -2.0, math.inf, math.nan, (2.0, -1.0)])
def test_scale_must_be_positive_and_finite(scale):
    with pytest.raises(ValueError, match="scale must be positive and finite, got"):
        as_pair(scale)


def test_positions_by_hand():
    # 4 pixels to 6 at x1.5: the first output centre is at 0.5/1.5 - 0.5
    expected = torch.tensor([-1 / 6, 0.5, 7 / 6, 11 / 6, 2.5, 19 / 6], dtype=torch.float64)
    for anchor in ("centred", "ratio", "topleft"):
        axis = Axis.project(4, 6, 1.5, anchor)
        torch.testing.assert_close(axis.positions(), expected)


def test_anchors_differ_where_the_size_is_rounded():
    centred, ratio, topleft = (
        Axis.project(5, 8, 1.5, anchor).positions() for anchor in ("centred", "ratio", "topleft")
    )
    assert centred.mean() == pytest.approx(2.0)  # the images' centres coincide
    assert ratio[0] + 0.5 == pytest.approx(4 - ratio[-1] + 0.5)  # both ends are covered alike
    assert topleft[0] == pytest.approx(0.5 / 1.5 - 0.5)
    assert topleft[0] > centred[0]


@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize("anchor", ["centred", "ratio", "topleft"])
def test_window_and_shift_keep_positions(scale, anchor):
    grid = ProjectedGrid.project((23, 31), output_size((23, 31), scale), scale, anchor)
    rows, columns = slice(2, 7), slice(1, 9)
    window = grid.window(rows, columns).shifted(3, 5)
    torch.testing.assert_close(
        window.rows.positions() + 3, grid.rows.positions()[rows], rtol=0, atol=1e-12
    )
    assert torch.equal(
        grid.window(rows, columns).columns.positions(), grid.columns.positions()[columns]
    )
    assert window.size == (5, 8)


def test_over_undoes_within():
    grid = ProjectedGrid.project((20, 31), (37, 50)).window(slice(4, 30), slice(7, 9))
    inner = ProjectedGrid.project((20, 31), (13, 21), (2 / 3, 0.7), "centred")
    inner = inner.window(slice(2, 9), slice(3, 20))
    back = grid.within(inner).over(inner)
    for axis, expected in ((back.rows, grid.rows), (back.columns, grid.columns)):
        assert (axis.size, axis.first) == (expected.size, expected.first)
        torch.testing.assert_close(axis.positions(), expected.positions(), rtol=0, atol=1e-12)


def test_within_is_the_same_place():
    inner = ProjectedGrid.project((10, 10), (17, 20), 1.7, "centred").window(
        slice(3, 15), slice(0, 20)
    )
    grid = ProjectedGrid.project((10, 10), (31, 29), 3.1, "centred")
    for axis, through, local in zip(
        (grid.rows, grid.columns),
        (inner.rows, inner.columns),
        (grid.within(inner).rows, grid.within(inner).columns),
        strict=True,
    ):
        index = local.positions()
        back = through.origin + (through.first + index) / through.scale
        torch.testing.assert_close(back, axis.positions())


@pytest.mark.parametrize(
    ("scale", "limit", "expected"),
    [
        (1.5, 8, (3, 2)),
        (2.0, 8, (2, 1)),
        (0.75, 8, (3, 4)),
        (2.37, 32, None),
        (2.37, 240, (237, 100)),
    ],
)
def test_period(scale, limit, expected):
    assert Axis(1000, scale, 0.0).period(limit) == expected


@pytest.mark.parametrize("scale", [1.0, 2.37, 0.5, 0.73])
@pytest.mark.parametrize("kernel_size", [1, 3, 4, 6])
def test_neighbours_are_the_nearest(scale, kernel_size):
    axis = Axis.project(20, output_size((20, 20), scale)[0], scale, "centred")
    index, offset = neighbours(axis, kernel_size)
    inside = offset.abs() <= kernel_size / 2
    everything = torch.arange(-40, 60)
    for o, position in enumerate(axis.positions()):
        near = everything[(everything - position).abs() * axis.stretch < kernel_size / 2 - 1e-9]
        assert set(near.tolist()) <= set(index[o][inside[o]].tolist())


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: ProjectedGrid.project((0, 4), (2, 2)), "input sizes .* from 1 to .*, got 0"),
        (
            lambda: ProjectedGrid.project((4, 4), (2**31, 2)),
            "output sizes must be whole numbers from 1 to 2147483647, got 2147483648",
        ),
        (
            lambda: output_size((4, 4), 1e308),
            r"sides must be at most .*, got \(4, 4\) times 1e\+308",
        ),
        (lambda: ProjectedGrid.project((4, 4), (2, 2), None, "centred"), "needs a scale, got None"),
        (lambda: ProjectedGrid.project((4, 4), (2, 2), 2.0, "middle"), "anchor must be 'centred'"),
        (lambda: Axis.project(4, 8).window(5, 9), r"window must lie within 0\.\.8, got 5\.\.9"),
        (lambda: ProjectedGrid.project((4.5, 4), (2, 2)), "input sizes must be whole .* got 4.5"),
        (lambda: ProjectedGrid.project((4, 4), (True, 2)), "output sizes must be .* got True"),
        (
            lambda: ProjectedGrid.project((4, 4, 3), (2, 2)),
            r"input_size \(h, w\) must be two",
        ),
        (lambda: ProjectedGrid.project((4, 4), 2), r"output_size \(H, W\) must be two .* got 2"),
        (lambda: ProjectedGrid.project((4, 4), (2, 2), None, "middle"), "anchor must be 'centred'"),
        (lambda: _window(slice(0, 8, 2)), r"pixels 0 to 8, got slice\(0, 8, 2\)"),
        (lambda: _window(slice(None, None, -1)), "pixels 0 to 8, got slice"),
        (lambda: _window(slice(5, 2)), "pixels 0 to 8, got slice"),
        (lambda: _window(3), "pixels 0 to 8, got 3"),
        (lambda: resize(torch.rand(5), _grid()), r"of shape \(..., h, w\), got \(5,\)"),
        (lambda: resize(np.zeros((3, 0, 4)), _grid()), r"h, w\), got \(3, 0, 4\)"),
        (lambda: resize(torch.rand(4, 4), _grid(), ["cubic"]), "kernel must be one of cubic"),
    ],
)
def test_errors(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def _grid():
    return ProjectedGrid.project((4, 4), (8, 8))


def _window(rows):
    return _grid().window(rows, slice(None))


@pytest.mark.parametrize(
    ("x", "grid", "message"),
    [
        ([[1.0]], _grid(), "expected a tensor or an array, got list"),
        (Image.new("F", (4, 4)), _grid(), "expected a tensor or an array, got Image"),
        (torch.rand(4, 4), (8, 8), "expected a ProjectedGrid, got tuple: make one by"),
        (np.zeros((4, 4), np.uint8), _grid(), "expected floating point, got uint8"),
    ],
)
def test_what_is_of_another_kind(x, grid, message):
    with pytest.raises(TypeError, match=message):
        resize(x, grid)


@pytest.mark.parametrize("kernel", ["cubic", "lanczos", "linear", "box"])
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, np.float16])
def test_few_bits_are_rounded_once(dtype, kernel):
    """So that a constant stays one: weights in so few bits do not sum to 1."""
    grid = ProjectedGrid.project((20, 30), (50, 13))
    array = not isinstance(dtype, torch.dtype)
    x = torch.rand(2, 20, 30).numpy().astype(dtype) if array else torch.rand(2, 20, 30).to(dtype)
    flat = x * 0 + 1
    assert (resize(flat, grid, kernel) == 1).all()
    truth = resize(x.astype(np.float32) if array else x.float(), grid, kernel)
    expected = truth.astype(dtype) if array else truth.to(dtype)
    got = resize(x, grid, kernel)
    assert got.dtype == dtype
    assert (got == expected).all()


@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize("kernel", ["cubic", "lanczos"])
def test_equals_pillow_in_the_interior(scale, kernel):
    generator = np.random.default_rng(0)
    picture = generator.random((40, 48), dtype=np.float32)
    h, w = output_size((40, 48), scale)
    method = {"cubic": Image.Resampling.BICUBIC, "lanczos": Image.Resampling.LANCZOS}[kernel]
    truth = torch.from_numpy(np.array(Image.fromarray(picture).resize((w, h), method)))
    grid = ProjectedGrid.project((40, 48), (h, w))
    ours = resize(torch.from_numpy(picture), grid, kernel)
    assert ours.shape == (h, w)
    reach = 3 if kernel == "lanczos" else 2
    margin = [math.ceil(reach * max(s, 1.0)) + 1 for s in grid.scale]
    interior = slice(margin[0], h - margin[0]), slice(margin[1], w - margin[1])
    torch.testing.assert_close(ours[interior], truth[interior], rtol=0, atol=2e-6)


@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize("size", [(1, 1), (1, 6), (5, 2)])
def test_a_constant_stays_constant_on_the_smallest_images(scale, size):
    x = torch.full((2, *size), 0.3, dtype=torch.float64)
    y = resize(x, ProjectedGrid.project(size, output_size(size, scale)))
    torch.testing.assert_close(y, torch.full_like(y, 0.3))


@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize("size", [(40, 48), (1, 6), (5, 2)])
def test_add_resized_adds_what_resize_gives(scale, size):
    generator = torch.Generator().manual_seed(0)
    x = torch.rand(2, 3, *size, generator=generator, dtype=torch.float64)
    grid = ProjectedGrid.project(size, output_size(size, scale))
    y = torch.rand(2, 3, *grid.size, generator=generator, dtype=torch.float64)
    for window in (grid, grid.window(slice(grid.rows.size // 2, None), slice(0, 1))):
        height, width = window.size
        added = y[..., -height:, :width].contiguous(memory_format=torch.channels_last)
        before = added.clone()
        add_resized(added, x, window)
        torch.testing.assert_close(added, before + resize(x, window))


def test_add_resized_refuses_another_memory_format():
    grid = ProjectedGrid.project((4, 4), (8, 8))
    with pytest.raises(RuntimeError, match="view size is not compatible"):
        add_resized(torch.zeros(1, 3, 8, 8), torch.zeros(1, 3, 4, 4), grid)


def test_a_grid_far_outside_reads_the_border():
    far = ProjectedGrid(Axis(3, 2.0, 50.0), Axis(2, 2.0, -50.0))
    x = torch.rand(1, 3, 4, 5, generator=torch.Generator().manual_seed(0))
    assert needed((4, 5), far) == (slice(3, 4), slice(0, 1))
    corner = x[:, :, 3:, :1].expand(1, 3, 3, 2)
    torch.testing.assert_close(resize(x, far), corner)
    y = torch.zeros(1, 3, 3, 2).contiguous(memory_format=torch.channels_last)
    add_resized(y, x, far)
    torch.testing.assert_close(y, corner)


def test_weights_sum_to_one():
    _, weight = normalised_weights(Axis.project(30, 13))
    torch.testing.assert_close(weight.sum(1), torch.ones(13, dtype=torch.float64))


def test_reduce_uint8_rounds_after_each_pass():
    # Halving averages 8 pixels with weights (-3, -9, 29, 111, 111, 29, -9, -3)/256: by hand,
    # down a column of zeros with one pixel 100: 29/256 * 100 = 11.3 and 111/256 * 100 = 43.4.
    column = torch.zeros(12, dtype=torch.uint8)
    column[5] = 100
    image = column[:, None].expand(12, 12).contiguous()
    reduced = reduce_uint8(image, ProjectedGrid.project((12, 12), (6, 6)))
    assert reduced[:, 3].tolist() == [0, 0, 43, 11, 0, 0] or reduced[:, 3].tolist() == [
        0,
        11,
        43,
        0,
        0,
        0,
    ]
    # Along the other axis nothing changes: the second pass sees whole numbers again.
    assert torch.equal(reduced, reduced[:, :1].expand_as(reduced))


@pytest.mark.parametrize(
    "x", [np.ma.array(np.zeros((4, 5))), torch.zeros(4, 5).to_sparse()], ids=["masked", "sparse"]
)
def test_every_pixel_must_have_a_value(x):
    with pytest.raises(TypeError, match="expected a value for every pixel, got a masked array or"):
        resize(x, ProjectedGrid.project((4, 5), (3, 3)))


def test_reduce_uint8_refuses_arrays():
    with pytest.raises(TypeError, match="expected a uint8 tensor, got a ndarray"):
        reduce_uint8(np.zeros((4, 5), np.uint8), ProjectedGrid.project((4, 5), (2, 2)))


def test_reduce_uint8_refuses_floats():
    with pytest.raises(TypeError, match=r"expected a uint8 tensor, got torch\.float32"):
        reduce_uint8(torch.zeros(4, 4), ProjectedGrid.project((4, 4), (2, 2)))


def test_resize_refuses_levels_and_unknown_kernels():
    grid = ProjectedGrid.project((4, 4), (8, 8))
    with pytest.raises(TypeError, match=r"expected floating point, got torch\.uint8"):
        resize(torch.zeros(1, 4, 4, dtype=torch.uint8), grid)
    with pytest.raises(ValueError, match="must be one of cubic, lanczos, linear, box, got 'foo'"):
        resize(torch.zeros(1, 4, 4), grid, "foo")


def test_a_scale_may_be_any_pair_of_numbers():
    assert as_pair([2, 2.5]) == as_pair((2, 2.5)) == (2.0, 2.5)
    for scale in ("2", [1, 2, 3], None):
        with pytest.raises(ValueError, match=r"scale must be a number or \(vertical, horizontal\)"):
            as_pair(scale)
