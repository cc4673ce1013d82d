import numpy as np
import pytest

import plot_annual_maps


@pytest.mark.parametrize(("years", "columns"), [(1, 1), (4, 4), (10, 5), (24, 8)])
def test_years_wrap_so_that_the_figure_fits_a_page(years, columns):
    assert plot_annual_maps.across(years, 3, 1.0) == columns


def test_every_year_has_three_panels_in_one_scale():
    layer = np.linspace(0.2, 0.5, 16).reshape(4, 4)
    year = {"Map": layer, "SMCI": layer + 0.1, "ERA5-Land": layer}
    layers = {str(2009 + n): year for n in range(7)}
    figure = plot_annual_maps.figure_of(layers, np.ones((4, 4), bool), (0, 4e3, 0, 4e3))
    drawn = [axes for axes in figure.axes if axes.axison and len(axes.images) == 2]
    assert len(drawn) == 21
    assert len({axes.images[-1].get_clim() for axes in drawn}) == 1
