"""The pull to a coarse product: means are kept, edges do not show, gaps pull nothing."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import zoom

from _conserve import Means
from _raster import bilinear

SHAPE, FINE = (9, 11), 4


def fine_cells(shape=SHAPE, fine=FINE):
    """Return fractional positions of `fine` x `fine` cells in each coarse one, as flat arrays."""
    rows, cols = (np.arange(n * fine) / fine + 0.5 / fine for n in shape)
    return [v.ravel() for v in np.meshgrid(rows, cols, indexing="ij")]


def cell_means(values, shape=SHAPE, fine=FINE):
    return values.reshape(shape[0], fine, shape[1], fine).mean(axis=(1, 3))


def pulled(values, product, conserve=1.0):
    means = Means(product.shape)
    means.add(*fine_cells(), values)
    return values + conserve * bilinear(means.pull(product), *fine_cells())


def smooth(seed):
    rng = np.random.default_rng(seed)
    return zoom(rng.normal(0.3, 0.05, (4, 5)), (SHAPE[0] / 4, SHAPE[1] / 5), order=1)


def test_means_by_hand():
    means = Means((1, 2))
    means.add(
        np.array([0.2, 0.7, 0.5, 0.5, 0.5]),
        np.array([0.5, 0.5, 1.5, 1.6, 2.5]),
        np.array([1.0, 3.0, 5.0, np.nan, 9.0]),
    )
    assert means.means().tolist() == [[2.0, 5.0]], "half of the second cell is enough"
    means.add(np.array([0.5]), np.array([1.7]), np.array([np.nan]))
    assert means.means()[0, 1] != means.means()[0, 1], "a third is not"


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 10**6))
def test_wholly_conserved_the_means_are_those_of_the_product(seed):
    product = smooth(seed)
    values = np.random.default_rng(seed).normal(0.3, 0.05, SHAPE[0] * SHAPE[1] * FINE**2)
    rough = np.std(product - cell_means(values))
    left = product - cell_means(pulled(values, product))
    assert np.std(left) < 0.05 * rough + 1e-12


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 10**6), st.floats(0, 1))
def test_the_field_is_linear_in_its_weight_and_nothing_for_weight_0(seed, weight):
    values = np.random.default_rng(seed).normal(0.3, 0.05, SHAPE[0] * SHAPE[1] * FINE**2)
    whole, part = (pulled(values, smooth(seed), w) for w in (1.0, weight))
    np.testing.assert_allclose(part - values, weight * (whole - values), atol=1e-12)


def test_a_product_that_is_off_by_a_constant_shifts_every_cell_by_it():
    values = np.random.default_rng(2).normal(0.3, 0.05, SHAPE[0] * SHAPE[1] * FINE**2)
    found = pulled(values, cell_means(values) + 0.07)
    np.testing.assert_allclose(found, values + 0.07, atol=1e-12)


def test_detail_inside_the_cells_stays():
    """What varies faster than the coarse cells is neither added nor taken away."""
    detail = np.tile([[0.01, -0.01], [-0.01, 0.01]], (SHAPE[0] * 2, SHAPE[1] * 2)).ravel()
    plain = pulled(np.zeros(detail.size), smooth(3))
    np.testing.assert_allclose(pulled(detail, smooth(3)) - plain, detail, atol=1e-12)


def test_no_block_edges():
    """The step across an edge of the product's cells is that of any two neighbours."""
    product = smooth(4)
    flat = np.zeros(SHAPE[0] * SHAPE[1] * FINE**2)
    found = pulled(flat, product).reshape(SHAPE[0] * FINE, -1)
    steps = np.abs(np.diff(found, axis=1)).mean(axis=0)
    across = steps[FINE - 1 :: FINE].mean()
    within = np.delete(steps, slice(FINE - 1, None, FINE)).mean()
    assert across < 1.25 * within
    blocks = np.repeat(np.repeat(product, FINE, 0), FINE, 1)
    jumps = np.abs(np.diff(blocks, axis=1)).mean(axis=0)
    assert jumps[FINE - 1] > 0 == jumps[0], "while the product itself is all edges"


def test_where_the_product_is_missing_nothing_is_pulled_beyond_the_next_cell():
    product = np.full(SHAPE, 0.4)
    product[3:6, 4:7] = np.nan
    found = pulled(np.full(SHAPE[0] * SHAPE[1] * FINE**2, 0.3), product)
    found = found.reshape(SHAPE[0] * FINE, -1)
    assert found[4 * FINE : 5 * FINE, 5 * FINE : 6 * FINE] == pytest.approx(0.3)
    assert found[:FINE] == pytest.approx(0.4, abs=0.01)


def test_blocks_leave_the_same_sums_as_one_piece():
    values = np.random.default_rng(5).random(SHAPE[0] * SHAPE[1] * FINE**2)
    rows, cols = fine_cells()
    one, many = Means(SHAPE), Means(SHAPE)
    one.add(rows, cols, values)
    for part in np.array_split(np.arange(values.size), 7):
        many.add(rows[part], cols[part], values[part])
    np.testing.assert_allclose(one.pull(smooth(1)), many.pull(smooth(1)), atol=1e-12)


def test_the_mean_of_the_field_is_what_over_cells_says():
    field = np.random.default_rng(6).random(SHAPE)
    means = Means(SHAPE)
    means.add(*fine_cells(), np.zeros(SHAPE[0] * SHAPE[1] * FINE**2))
    np.testing.assert_allclose(
        means.over_cells(field), cell_means(bilinear(field, *fine_cells())), atol=1e-12
    )
