import numpy as np
import pytest
from PIL import Image
from rasterio.crs import CRS

import _figures


@pytest.mark.parametrize(
    ("most", "length"), [(9_999, 5_000), (10_000, 10_000), (27, 20), (1.99, 1), (150_000, 100_000)]
)
def test_scale_bar_is_round_and_never_longer_than_asked(most, length):
    assert _figures.round_length(most) == length


def test_degree_of_longitude_shrinks_with_latitude():
    # 111.32 km at the equator, half of it at 60 degrees
    assert _figures.metres_per_unit(CRS.from_epsg(4326), 60) == pytest.approx(55_660)
    assert _figures.metres_per_unit(CRS.from_epsg(32648), 60) == 1


@pytest.mark.parametrize(
    ("crs", "extent", "north"),
    [
        ("EPSG:32648", (499_900, 500_100, 3_700_000, 3_700_200), 0),
        # UTM 9 degrees west of its meridian: convergence is the difference times sin(latitude).
        ("EPSG:32648", (-336_000, -335_000, 3_790_000, 3_791_000), 5.0),
        # tan of the shear is the longitude, in radians, times sin(latitude): about 45 degrees left.
        (
            "+proj=sinu +lon_0=0 +R=6371007.181 +units=m +no_defs",
            (9_419_000, 9_421_000, 3_769_000, 3_771_000),
            -44.8,
        ),
    ],
)
def test_the_arrow_points_north(crs, extent, north):
    assert _figures.north_of(CRS.from_user_input(crs), extent) == pytest.approx(north, abs=0.5)


def test_colour_range_is_the_papers_only_if_it_holds_the_data():
    tame, wild = np.linspace(0.2, 0.6, 101), np.linspace(0, 1, 101)
    assert _figures.limits([tame], paper=True) == (0.15, 0.66)
    assert _figures.limits([wild], paper=True) == pytest.approx((0.01, 0.99))
    assert _figures.limits([tame], paper=False) == pytest.approx((0.204, 0.596))
    assert _figures.limits([np.array([np.nan])], paper=False) == (0.15, 0.66)
    low, high = _figures.limits([np.array([0.3, 0.3])], paper=False)
    assert low < 0.3 < high


def test_thinned_map_keeps_its_first_cell_and_stays_drawable():
    layer = np.arange(3000.0 * 20).reshape(3000, 20)
    thin = _figures.thinned(layer)
    assert max(thin.shape) == 1000
    assert thin[1, 1] == layer[3, 3]
    small = np.zeros((50, 60))
    assert _figures.thinned(small) is not None and _figures.thinned(small).shape == (50, 60)


def test_a_picture_keeps_its_colours_with_a_palette_of_its_own(tmp_path):
    """A map in 256 colours beside text and a mark of another colour: both stay what they are."""
    figure = _figures.canvas(height=3)
    axes = figure.subplots()
    layer = np.add.outer(np.sin(np.linspace(0, 9, 300)), np.cos(np.linspace(0, 7, 300)))
    _figures.draw_map(axes, layer, (0, 1, 0, 1), cmap=_figures.WETNESS)
    axes.set_title("A map")
    axes.plot(0.5, 0.5, "o", ms=6, color=_figures.ORANGE)
    _figures.save(figure, str(tmp_path / "a.png"), str(tmp_path / "a.pdf"), "a note")
    figure.savefig(tmp_path / "whole.png")
    shown, whole = (
        np.asarray(Image.open(tmp_path / name).convert("RGB")).astype(int)
        for name in ("a.png", "whole.png")
    )
    off = np.abs(shown - whole).max(axis=-1)
    assert np.percentile(off, 99.9) <= 16
    orange = np.array([200, 100, 30])
    assert (np.abs(whole - orange).max(axis=-1) == 0).sum() > 100
    assert (np.abs(shown - orange).max(axis=-1) <= 8).sum() > 100
    assert (tmp_path / "a.png").stat().st_size < 0.6 * (tmp_path / "whole.png").stat().st_size


def test_units_are_printed_with_raised_digits():
    assert _figures.printed("m3/m3") == "m³/m³"
    assert _figures.printed("degC") == "°C"


@pytest.mark.parametrize("name", ["WETNESS", "DENSITY"])
def test_colours_get_evenly_darker_and_are_never_page_white(name):
    """Crameri's maps are perceptually even; cutting an end must leave them so."""
    rgb = getattr(_figures, name)(np.linspace(0, 1, 64))[:, :3]
    luminance = rgb @ [0.2126, 0.7152, 0.0722]
    assert (np.diff(luminance) < 0.002).all()
    assert luminance[0] < 0.92


def draw():
    figure = _figures.canvas(2, 3)
    axes = figure.subplots()
    layer = np.array([[0.2, np.nan], [0.4, 0.5]])
    extent = (0, 20_000, 0, 20_000)
    image = _figures.draw_map(axes, layer, extent, np.ones((2, 2), bool), cmap=_figures.WETNESS)
    _figures.furnish(axes, extent)
    figure.colorbar(image, ax=axes, label="m³/m³")
    return figure


def test_panels_of_the_last_row_stay_on_one_line_and_share_one_bar_below():
    figure = _figures.canvas(height=4)
    panels = figure.subplots(2, 3, squeeze=False, height_ratios=[1, 1 + _figures.FOOT])
    extent = (0, 20_000, 0, 20_000)
    for axes in panels.flat:
        image = _figures.draw_map(axes, np.array([[0.2, 0.4]]), extent)
    _figures.furnish_last(panels, extent, north=0)
    _figures.bar_below(figure, image, panels, "m³/m³")
    assert {axes.get_ylim() for axes in panels[-1]} == {panels[-1, 0].get_ylim()}
    assert panels[-1, 0].get_ylim() != panels[0, 0].get_ylim(), "room for the scale bar"
    figure.draw_without_rendering()
    (bar,) = set(figure.axes) - set(panels.flat)
    assert bar.get_xlabel() == "m³/m³"
    assert bar.get_position().y1 < min(axes.get_position().y0 for axes in panels.flat)


def test_same_figure_gives_the_same_bytes_and_no_date(tmp_path):
    for run in "ab":
        _figures.save(draw(), tmp_path / f"{run}.png", tmp_path / f"{run}.pdf", "simulated data")
    for end in ("png", "pdf"):
        first, second = ((tmp_path / f"{run}.{end}").read_bytes() for run in "ab")
        assert first == second
        assert b"CreationDate" not in first and b"matplotlib" not in first.lower()
    assert len(list(tmp_path.iterdir())) == 4, "no half-written file is left"


def test_note_and_scale_bar_are_on_the_figure(tmp_path):
    figure = draw()
    _figures.save(figure, tmp_path / "a.png", tmp_path / "a.pdf", "simulated data")
    assert [text.get_text() for text in figure.texts] == ["simulated data"]
    assert "5 km" in [text.get_text() for text in figure.axes[0].texts]
