"""A worked example of trends with the numbers of pymannkendall 1.4.3 and scipy."""

import numpy as np
import pytest

from _trend import least_squares, mann_kendall, theil_sen

SERIES = np.array([0.372, 0.381, 0.379, 0.384, 0.377, 0.390, 0.386, 0.392, 0.388, 0.394])
YEARS = np.arange(2009, 2019)


def test_the_worked_example():
    found = mann_kendall(SERIES, YEARS)
    assert found["S"] == 31
    assert found["n"] == 10
    assert found["z"] == pytest.approx(2.68328, abs=5e-6)
    assert found["p"] == pytest.approx(0.0072904, abs=5e-8)
    assert found["p_exact"] == pytest.approx(0.0046869, abs=5e-8)
    assert theil_sen(SERIES, YEARS)[0] == pytest.approx(0.0020, abs=1e-12)
    slope, p = least_squares(SERIES, YEARS)
    assert slope == pytest.approx(0.00200606, abs=5e-9)
    assert p == pytest.approx(0.0013133, abs=5e-8)
