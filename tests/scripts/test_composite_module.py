"""Cuts of a source, and sums that do not ask how a file stores its numbers."""

import numpy as np
import pytest

from _composite import Month, cut


def test_a_cut_is_the_smallest_that_holds_its_pixels():
    # 250 m pixels of four map cells, in pixels of 1 km: rows 2 and 3, columns 5 to 7.
    row, col = np.array([8, 11, 12, 15]), np.array([23, 20, 31, 24])
    found = cut(row, col, np.array([0, 1, 5, 9]), size=4)
    assert (found.rows, found.cols, found.shape) == (slice(2, 4), slice(5, 8), (2, 3))
    assert found.pixels.tolist() == [0, 0, 5, 4]
    assert found.cells.tolist() == [0, 1, 5, 9]


@pytest.mark.parametrize("maximum", [False, True])
def test_the_type_in_which_numbers_are_stored_changes_nothing(maximum):
    numbers = np.random.default_rng(1).integers(0, 65536, (8, 5, 6))
    months = {}
    for kind in ("uint16", "int32", "int64"):
        months[kind] = Month(maximum)
        for k, layer in enumerate(numbers.astype(kind)):
            months[kind].add("clip", layer, layer > 5000, 1 + k % 8, length=6)
    values = {kind: month.value("clip", np.arange(30)) for kind, month in months.items()}
    np.testing.assert_array_equal(values["uint16"], values["int32"])
    np.testing.assert_array_equal(values["uint16"], values["int64"])
    assert np.isfinite(values["uint16"]).all()
