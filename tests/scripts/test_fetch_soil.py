"""The window of SoilGrids: equal to the mosaic to the last cell, whatever the network does."""

import html
import json
import os
import random
import signal
import stat
import subprocess
import sys
import textwrap
import time
from contextlib import contextmanager
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import rasterio
from hypothesis import given, settings
from hypothesis import strategies as st
from pyproj import Transformer
from rasterio.io import MemoryFile
from rasterio.transform import from_origin

import _download
import define_grid
import derive_soil
import fetch_soil
import servers
from _log import UserError
from _raster import Grid, read
from conftest import ROOT
from fetch_soil import FRACTIONS, HOMOLOSINE, NODATA, STORE, check_box, check_cells, window_of
from servers import Fault

BOX = [102.0, 33.6, 102.1, 33.7]
TILE, SIDE = 30, 4  # cells of a tile, tiles of a side of the part of the mosaic that exists
# The mosaic as SoilGrids describes it.
LEFT, TOP, WIDTH, HEIGHT = -19_949_750.0, 8_361_000.0, 159_246, 58_034
WORLD = Grid(HOMOLOSINE, from_origin(LEFT, TOP, 250, 250), WIDTH, HEIGHT)
WKT = (
    'PROJCS["Interrupted_Goode_Homolosine",GEOGCS["GCS_unnamed ellipse",DATUM["D_unknown",'
    'SPHEROID["Unknown",6378137,298.257223563]],PRIMEM["Greenwich",0],'
    'UNIT["Degree",0.0174532925199433]],PROJECTION["Interrupted_Goode_Homolosine"],'
    'UNIT["metre",1],AUTHORITY["EPSG","152160"]]'
)
SOURCE = """<ComplexSource>
 <SourceFilename relativeToVRT="1">{file}</SourceFilename>
 <SourceBand>1</SourceBand>
 <SourceProperties RasterXSize="{size}" RasterYSize="{size}" DataType="Int16"/>
 <SrcRect xOff="0" yOff="0" xSize="{size}" ySize="{size}"/>
 <DstRect xOff="{x}" yOff="{y}" xSize="{size}" ySize="{size}"/>
 <NODATA>-32768</NODATA>
</ComplexSource>"""
VRT = """<VRTDataset rasterXSize="{width}" rasterYSize="{height}"><SRS>{srs}</SRS>
<GeoTransform>{left}, {cell}, 0.0, {top}, 0.0, -{cell}</GeoTransform>
<Metadata><MDI key="Code_version">v2.0.0</MDI></Metadata>
<VRTRasterBand dataType="{dtype}" band="1"><NoDataValue>{nodata}</NoDataValue>
{sources}</VRTRasterBand></VRTDataset>"""


def where() -> tuple[int, int]:
    """Row and column of the mosaic at which the part that exists begins: around BOX."""
    x, y = Transformer.from_crs(4326, HOMOLOSINE, always_xy=True).transform(102.05, 33.65)
    return int((TOP - y) / 250) - 61, int((x - LEFT) / 250) - 59


def fractions(seed=1) -> dict[str, np.ndarray]:
    """Sand, silt and clay (g/kg) that sum to 998..1002, with a lake."""
    rng = np.random.default_rng(seed)
    shape = TILE * SIDE, TILE * SIDE
    sand, clay = rng.integers(200, 500, shape), rng.integers(100, 400, shape)
    silt = 1000 - sand - clay + rng.integers(-2, 3, shape)
    for part in (sand, silt, clay):
        part[50:60, 65:72] = NODATA
    return {
        name: part.astype("int16") for name, part in zip(FRACTIONS, (sand, silt, clay), strict=True)
    }


def as_tiff(values, left, top) -> bytes:
    with MemoryFile() as memory:
        with memory.open(
            driver="GTiff", dtype="int16", count=1, nodata=NODATA, crs=HOMOLOSINE,
            width=values.shape[1], height=values.shape[0], blockysize=3,
            transform=from_origin(left, top, 250, 250),
        ) as file:  # fmt: skip
            file.write(values, 1)
        return memory.read()


def vrt_of(name, **changed) -> str:
    row0, col0 = where()
    sources = [
        SOURCE.format(
            file=f"./{name}_0-5cm_mean/tileSG-{row}/tileSG-{row}_{col}.tif",
            size=TILE,
            x=col0 + col * TILE,
            y=row0 + row * TILE,
        )
        for row in range(SIDE)
        for col in range(SIDE)
    ]
    said = {
        "width": WIDTH, "height": HEIGHT, "srs": html.escape(WKT), "left": LEFT, "top": TOP,
        "cell": 250.0, "dtype": "Int16", "nodata": NODATA, "sources": "\n".join(sources),
    }  # fmt: skip
    return VRT.format(**said | changed)


def tile_path(name, row, col) -> str:
    return f"/data/{name}/{name}_0-5cm_mean/tileSG-{row}/tileSG-{row}_{col}.tif"


def vrt_path(name) -> str:
    return f"/data/{name}/{name}_0-5cm_mean.vrt"


def tiles_of(name, part) -> dict[str, bytes]:
    row0, col0 = where()
    files = {}
    for row in range(SIDE):
        for col in range(SIDE):
            cells = part[row * TILE : (row + 1) * TILE, col * TILE : (col + 1) * TILE]
            left, top = LEFT + 250 * (col0 + col * TILE), TOP - 250 * (row0 + row * TILE)
            files[tile_path(name, row, col)] = as_tiff(cells, left, top)
    return files


@cache
def usual_tiles() -> dict[str, bytes]:
    return {
        path: tile
        for name, part in fractions().items()
        for path, tile in tiles_of(name, part).items()
    }


class Soil(servers.Files):
    """SoilGrids in small: three mosaics of tiles around BOX."""

    def __init__(self, parts=None, **changed):
        super().__init__()
        self.parts = parts or fractions()
        for name in FRACTIONS:
            self.files[vrt_path(name)] = vrt_of(name, **changed).encode()
            self.files |= tiles_of(name, parts[name]) if parts else {}
        self.files |= {} if parts else usual_tiles()

    @property
    def data(self) -> str:
        return f"{self.address}/data/"

    def asked(self, part) -> list[str]:
        return [request.path for request in self.seen if part in request.path]


@pytest.fixture(autouse=True)
def alone(tmp_path, monkeypatch):
    """A folder of its own, no proxy, no long pauses."""
    for name in os.environ:
        if name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(_download, "LONGEST", 0.01)


@pytest.fixture
def soil():
    with Soil() as server:
        yield server


FINAL = {name: f"resources/raw/soil/{name}_0-5cm_mean.tif" for name in FRACTIONS}


def fetch(address, box=BOX, parallel=4, tries=4, timeout=5):
    fetch_soil.main(*FINAL.values(), box, address, parallel, tries, timeout)


def nothing_is_there() -> bool:
    """Whether no window has a name, in the archive or in the store."""
    return not list(Path("resources").glob("raw/**/*.*")) + list(Path().glob(f"{STORE}/*.*"))


def assert_as_served(server):
    """Every window equals the cells of the mosaic in its place."""
    row0, col0 = where()
    for name, path in FINAL.items():
        record = json.loads(Path(path).with_suffix(".json").read_text())
        left, top, width, height = record["window"]
        with rasterio.open(path) as file:
            assert file.shape == (height, width)
            assert file.transform == from_origin(LEFT + 250 * left, TOP - 250 * top, 250, 250)
            row, col = top - row0, left - col0
            np.testing.assert_array_equal(
                file.read(1), server.parts[name][row : row + height, col : col + width]
            )


# --- what arrives ---


def test_the_window_is_what_the_mosaic_holds(soil):
    fetch(soil.data)
    assert_as_served(soil)
    for name, path in FINAL.items():
        with rasterio.open(path) as file:
            assert (file.dtypes, file.nodata, file.count) == (("int16",), NODATA, 1)
            assert file.compression.name == "deflate"
            assert file.crs.to_dict() == rasterio.crs.CRS.from_string(HOMOLOSINE).to_dict()
            assert 75 < file.width < 95
            assert 55 < file.height < 75
        assert Path(path).is_symlink()
        assert not Path(path).stat().st_mode & (stat.S_IWUSR | stat.S_IWGRP | stat.S_IWOTH)
        record = json.loads(Path(path).with_suffix(".json").read_text())
        assert record["address"] == f"{soil.data}{name}/{name}_0-5cm_mean.vrt"
        assert record["delivered"] == f"{name}_0-5cm_mean.vrt"
        assert record["bytes"] == Path(path).stat().st_size
        assert record["box"] == BOX
        assert record["version"]["Code_version"] == "v2.0.0"
        assert record["fetched"].startswith("20")
        assert len(record["sha256"]) == 64
    place = "102.0_33.6_102.1_33.7.tif"
    assert sorted(path.name for path in STORE.iterdir()) == sorted(
        f"{name}_0-5cm_mean_{place}{end}" for name in FRACTIONS for end in ("", ".json")
    )


def test_only_tiles_under_the_window_are_fetched(soil):
    fetch(soil.data, [102.04, 33.64, 102.05, 33.65])
    assert soil.asked(tile_path("sand", 1, 1))
    assert not soil.asked("tileSG-0/")
    assert not soil.asked("tileSG-3/")
    assert len(soil.seen) < 3 * (1 + 7)
    assert_as_served(soil)


def test_the_soil_of_the_area_comes_from_it(soil):
    fetch(soil.data)
    define_grid.main((), "grid.tif", "lonlat.tif", BOX, "EPSG:32648", 250)
    derive_soil.main(*FINAL.values(), "grid.tif", "lonlat.tif", "soil.tif", "clip")
    grid, row0, col0 = Grid.of("soil.tif"), *where()
    to_goode = Transformer.from_crs(grid.crs, HOMOLOSINE, always_xy=True)
    rows, cols = WORLD.positions(*to_goode.transform(*grid.centres()))
    rows, cols = (np.floor(v).astype(int) - first for v, first in ((rows, row0), (cols, col0)))
    parts = {name: part[rows, cols].astype(float) for name, part in soil.parts.items()}
    sums = np.where(parts["sand"] == NODATA, np.nan, sum(parts.values()))
    area = read("grid.tif") == 1
    for name in FRACTIONS:
        found, expected = read("soil.tif", name), 100 * parts[name] / sums
        np.testing.assert_allclose(found[area], expected[area], atol=1e-4)
    assert 0 < np.isnan(sums[area]).sum() < area.sum() / 20


@pytest.mark.parametrize("srs", ["EPSG:152160", WKT, HOMOLOSINE, "ESRI:54052", ""])
def test_every_way_to_say_homolosine_is_understood(tmp_path, srs):
    (tmp_path / "mosaic.vrt").write_text(vrt_of("sand", srs=html.escape(srs)))
    with rasterio.open(tmp_path / "mosaic.vrt") as file:
        check_cells(file, "")


def test_a_tile_coarser_than_the_mosaic_is_spread_as_the_mosaic_says(soil):
    # SoilGrids has a few: 1 x 2 cells that stand for 62 x 124, say.
    name, (row0, col0) = tile_path("sand", 1, 1), where()
    left, top = LEFT + 250 * (col0 + TILE), TOP - 250 * (row0 + TILE)
    coarse = np.array([[300, 310], [320, 330]], "int16")
    soil.files[name] = as_tiff(coarse, left, top)
    before = vrt_of("sand")
    place = f'<SrcRect xOff="0" yOff="0" xSize="{TILE}" ySize="{TILE}"/>'
    parts = before.split("tileSG-1/tileSG-1_1.tif")
    parts[1] = parts[1].replace(place, place.replace(str(TILE), "2"), 1)
    parts[1] = parts[1].replace(
        f'RasterXSize="{TILE}" RasterYSize="{TILE}"', 'RasterXSize="2" RasterYSize="2"', 1
    )
    soil.files[vrt_path("sand")] = "tileSG-1/tileSG-1_1.tif".join(parts).encode()
    half = TILE // 2
    soil.parts["sand"][TILE : 2 * TILE, TILE : 2 * TILE] = np.kron(
        coarse, np.ones((half, half), "int16")
    )
    fetch(soil.data)
    assert_as_served(soil)


@settings(max_examples=60, deadline=None)
@given(
    st.floats(-178, 177), st.floats(-55, 82), st.floats(0.001, 60), st.floats(0.001, 30),
    st.integers(0, 2**32 - 1),
)  # fmt: skip
def test_the_window_holds_all_of_the_box(west, south, width, height, seed):
    box = [west, south, min(180.0, west + width), min(83.0, south + height)]
    window = window_of(WORLD, box, "")
    draw = np.random.default_rng(seed).random((2, 500))
    lon, lat = box[0] + draw[0] * (box[2] - box[0]), box[1] + draw[1] * (box[3] - box[1])
    to_goode = Transformer.from_crs(4326, HOMOLOSINE, always_xy=True)
    rows, cols = WORLD.positions(*to_goode.transform(lon, lat))
    assert (np.floor(rows) >= window.row_off + 2).all() or window.row_off == 0
    assert (rows < window.row_off + window.height - 2).all()
    assert (np.floor(cols) >= window.col_off + 2).all() or window.col_off == 0
    assert (cols < window.col_off + window.width - 2).all() or (
        window.col_off + window.width == WIDTH
    )


def test_the_window_of_the_published_study():
    window = window_of(WORLD, [97.0, 27.2, 104.5, 34.9], "")
    assert 3400 < window.height - 2 * fetch_soil.MARGIN < 3500
    assert 3000 < window.width < 5100


def test_a_box_that_begins_where_the_map_is_cut_is_not_as_wide_as_the_cut():
    # At 40 W the northern half is cut; the two sides lie 2800 km apart at 60 N.
    assert window_of(WORLD, [-40.0, 60.0, -39.0, 61.0], "").width < 1200
    assert window_of(WORLD, [-41.0, 60.0, -40.0, 61.0], "").width < 1200
    assert window_of(WORLD, [-40.5, 60.0, -39.5, 61.0], "").width > 5000


# --- a second run ---


def test_a_second_run_needs_no_network(soil):
    fetch(soil.data)
    before = {path: Path(path).read_bytes() for path in FINAL.values()}
    for path in FINAL.values():
        Path(path).unlink()  # as Snakemake does before it runs a job again
    soil.seen.clear()
    fetch(soil.data)
    assert not soil.seen
    assert {path: Path(path).read_bytes() for path in FINAL.values()} == before


def test_another_box_and_another_address_are_read_anew(soil):
    fetch(soil.data)
    soil.seen.clear()
    fetch(soil.data, [102.0, 33.6, 102.05, 33.65])
    assert soil.asked("sand")
    assert_as_served(soil)
    with Soil(fractions(seed=2)) as other:
        fetch(other.data, [102.0, 33.6, 102.05, 33.65])
        assert_as_served(other)
    fetch(soil.data)
    assert_as_served(soil)


def test_tiles_that_arrived_are_kept(soil):
    lost = soil.files.pop(tile_path("clay", 1, 1))
    with pytest.raises(
        UserError,
        match=r"tileSG-1/tileSG-1_1\.tif: expected tileSG-1_1\.tif, found 404 from SoilGrids\. "
        r"It is not there\. Look whether.*35 of 36 files arrived and are kept",
    ):
        fetch(soil.data)
    assert nothing_is_there()
    soil.files[tile_path("clay", 1, 1)] = lost
    soil.seen.clear()
    fetch(soil.data)
    assert [request.path for request in soil.seen] == [tile_path("clay", 1, 1)]
    assert_as_served(soil)


def test_tiles_of_an_older_interrupted_run_are_not_mixed_with_new_ones(soil):
    lost = soil.files.pop(tile_path("clay", 1, 1))
    with pytest.raises(UserError, match="found 404"):
        fetch(soil.data)
    soil.files[tile_path("clay", 1, 1)] = lost
    for folder in STORE.iterdir():
        os.utime(folder, (time.time() - 90_000,) * 2)
    soil.seen.clear()
    fetch(soil.data)
    assert soil.asked(vrt_path("sand"))
    assert soil.asked(tile_path("sand", 1, 1))


# --- a network that fails ---


@pytest.mark.parametrize(
    "fault", [500, 503, 429, "cut", Fault("cut", after=0), Fault("stall", after=100, seconds=2)]
)
@pytest.mark.parametrize("path", [tile_path("silt", 1, 1), vrt_path("clay")])
def test_what_fails_once_is_fetched_again(soil, path, fault):
    soil.faults[path] = [fault]
    fetch(soil.data, timeout=0.5)
    assert len(soil.asked(path)) > 1
    assert_as_served(soil)


@pytest.mark.parametrize("seed", range(4))
def test_whatever_fails_no_cell_is_wrong(soil, seed):
    # Every fourth answer is bad, in every way; what comes too short or as a page ends the run.
    chance = random.Random(seed)
    kinds = [
        500,
        502,
        429,
        "cut",
        "short",
        "login",
        Fault("cut", after=0),
        Fault("cut", after=1500),
    ]

    class Unsteady(dict):
        def get(self, path, default=None):
            return [chance.choice(kinds)] if chance.random() < 0.25 else None

    soil.faults = Unsteady()
    for _ in range(30):
        try:
            fetch(soil.data, tries=20)
            break
        except UserError as error:
            assert "a web page" in str(error) or "a damaged file" in str(error)
            assert nothing_is_there()
    assert_as_served(soil)


def test_tries_come_to_an_end(soil):
    soil.faults[tile_path("sand", 1, 1)] = [503] * 200
    with pytest.raises(
        UserError,
        match=r"sand.*tileSG-1_1\.tif, found after 3 tries: SoilGrids answered 503\. Look",
    ):
        fetch(soil.data, tries=3)
    assert nothing_is_there()


def test_a_mosaic_that_is_not_there_is_named(soil):
    del soil.files[vrt_path("sand")]
    with pytest.raises(
        UserError,
        match=r"/data/sand/sand_0-5cm_mean\.vrt: expected sand_0-5cm_mean\.vrt, found 404 from "
        r"SoilGrids\. It is not there\. Look whether addresses\.soilgrids is where",
    ):
        fetch(soil.data)
    assert not soil.asked("tileSG")


@pytest.mark.parametrize("path", [tile_path("silt", 1, 1), vrt_path("silt")])
def test_a_page_instead_of_a_file_is_named(soil, path):
    soil.files[path] = servers.LOGIN
    with pytest.raises(
        UserError, match=rf"{path}: expected {Path(path).name}, found a web page .*in a browser"
    ):
        fetch(soil.data)
    assert nothing_is_there()
    assert not list(Path().rglob(Path(path).name + ".json")) or "tileSG" in path


@pytest.mark.parametrize("path", [tile_path("silt", 1, 1), vrt_path("silt")])
def test_a_damaged_file_is_named(soil, path):
    soil.files[path] = soil.files[path][:700]
    with pytest.raises(
        UserError, match=rf"{path}: expected {Path(path).name}, found a damaged file"
    ):
        fetch(soil.data)
    assert nothing_is_there()


def test_a_killed_run_leaves_nothing_under_a_name_and_the_next_goes_on(soil, tmp_path):
    program = f"""
        import sys
        sys.path.insert(0, {str(ROOT / "workflow" / "scripts")!r})
        import fetch_soil
        fetch_soil.main(*{list(FINAL.values())!r}, {BOX!r}, {soil.data!r}, 1, 4, 60)
    """
    soil.faults[tile_path("silt", 2, 1)] = [Fault("stall", after=900, seconds=60)]
    begun = "*/silt/**/.tileSG-2_1.tif.part"
    child = subprocess.Popen([sys.executable, "-c", textwrap.dedent(program)], cwd=tmp_path)
    try:
        limit = time.monotonic() + 60
        while not list(STORE.glob(begun)) and time.monotonic() < limit:
            time.sleep(0.05)
    finally:
        child.send_signal(signal.SIGKILL)
        child.wait()
    assert list(STORE.glob(begun))
    assert nothing_is_there()
    soil.seen.clear()
    fetch(soil.data)
    assert not soil.asked("/sand/")
    assert soil.asked("/clay/")
    assert_as_served(soil)


# --- what is refused ---


@pytest.mark.parametrize(
    "box", [[179.0, -18.0, -179.0, -16.0], [170, -18, 190, -16], [5, 5, 5, 6], [5, 6, 6, 95]]
)
def test_a_box_across_the_dateline_is_refused(box):
    with pytest.raises(UserError, match=r"area\.box: expected west < east.*dateline has to be two"):
        check_box(box)


def test_a_box_outside_of_the_mosaic_is_named(soil):
    with pytest.raises(UserError, match=r"area\.box: expected a box within .*sand.*56 S to 84 N"):
        fetch(soil.data, [10.0, -80.0, 11.0, -79.0])


@pytest.mark.parametrize(
    ("changed", "found"),
    [
        ({"dtype": "Float32"}, "1 of float32"),
        ({"nodata": 255}, r"nodata 255\.0"),
        ({"cell": 1000.0}, "1000 x 1000"),
        ({"srs": "EPSG:4326"}, "in EPSG:4326"),
    ],
)
def test_another_raster_under_the_address_is_named(changed, found):
    with (
        Soil(**changed) as server,
        pytest.raises(
            UserError, match=rf"one band of int16.*homolosine, found .*{found}.*Set addr"
        ),
    ):
        fetch(server.data)


@pytest.mark.parametrize("name", ["../../etc/tile.tif", "/etc/tile.tif"])
def test_tiles_elsewhere_are_refused(soil, name):
    text = vrt_of("sand").replace("./sand_0-5cm_mean/tileSG-1/tileSG-1_1.tif", name)
    soil.files[vrt_path("sand")] = text.encode()
    with pytest.raises(UserError, match=rf"expected tiles beside the mosaic, found {name}\. Set"):
        fetch(soil.data)


def test_percent_is_not_taken_for_grams_per_kilogram():
    parts = {
        name: np.where(part == NODATA, NODATA, part // 10).astype("int16")
        for name, part in fractions().items()
    }
    with (
        Soil(parts) as server,
        pytest.raises(UserError, match=r"/data/: expected a median.*1050 g/kg, found 9[89]\. Set"),
    ):
        fetch(server.data)
    assert nothing_is_there()
    assert not list(Path().rglob("*.tif"))


@pytest.mark.parametrize(
    ("value", "found"), [(NODATA, "no cell with a value"), (0, "0 in every cell")]
)
def test_an_empty_window_is_named(value, found):
    parts = fractions()
    parts["sand"][:] = value
    with (
        Soil(parts) as server,
        pytest.raises(UserError, match=rf"sand_0-5cm_mean\.vrt: expected the soil.*found {found}"),
    ):
        fetch(server.data)
    assert not list(Path("resources").rglob("*.tif"))


def test_a_hole_in_one_fraction_is_named():
    parts = fractions()
    parts["clay"][30:60, 30:60] = NODATA
    with (
        Soil(parts) as server,
        pytest.raises(UserError, match=r"none of them, found 870 of 5\d+ with a part of them. Set"),
    ):
        fetch(server.data)
    assert nothing_is_there()


def test_windows_of_two_grids_are_named(soil):
    soil.files[vrt_path("clay")] = vrt_of("clay", left=LEFT + 100).encode()
    with pytest.raises(
        UserError, match=r"/data/: expected sand, silt and clay on one grid, found 2 grids"
    ):
        fetch(soil.data)


def test_a_disk_that_keeps_something_else_is_noticed(soil, monkeypatch):
    @contextmanager
    def forgetful(path, grid, *rest):
        with created(path, grid, *rest) as target:
            yield target
            target.write(np.zeros(grid.shape, "int16"), 1)

    created = fetch_soil.created
    monkeypatch.setattr(fetch_soil, "created", forgetful)
    with pytest.raises(UserError, match=r"sand.*tif: expected what was read from .*on the disk"):
        fetch(soil.data)
    assert [path for path in Path("resources").rglob("*") if path.is_file()] == []


# --- what is said ---


def test_medians_and_missing_cells_are_logged(soil, caplog):
    with caplog.at_level("INFO", "soil-moisture"):
        fetch(soil.data)
    said = [record.message for record in caplog.records if record.levelno > 20]
    assert said[0] == "soil, mosaics: 3 of 3 files to fetch from SoilGrids"
    assert said[-1].startswith("soil, tiles under the area: 36 of 36 files, ")
    lines = [line for line in caplog.messages if "% of 5185 cells missing" in line]
    assert [line.partition(": median")[0].rpartition("/")[2] for line in lines] == [
        f"{name}_0-5cm_mean.vrt" for name in FRACTIONS
    ]
    assert "median" in lines[0]
    assert any("sand + silt + clay: median 1000 g/kg; 0 cells" in line for line in caplog.messages)


def test_a_password_in_the_address_is_written_nowhere(soil, tmp_path):
    address = soil.data.replace("http://", "http://someone:hush-hush@")
    program = f"""
        import sys
        sys.path.insert(0, {str(ROOT / "workflow" / "scripts")!r})
        import _download, _log, fetch_soil
        _log.log_to("run.log")
        _download.LONGEST = 0.01
        fetch_soil.main(*{list(FINAL.values())!r}, {BOX!r}, {address!r}, 1, 4, 60)
        fetch_soil.main(*{list(FINAL.values())!r}, [102, 33, 102.1, 33.1], {address!r}, 1, 2, 60)
    """
    soil.faults[tile_path("sand", 1, 1)] = [500]
    soil.faults[vrt_path("clay")] = [None, 500, 500]
    ended = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program)], cwd=tmp_path, capture_output=True
    )
    assert b"SoilGrids answered 500" in ended.stderr
    assert any("authorization" in request.headers for request in soil.seen)
    written = [path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()]
    assert len(written) > 12
    assert not [text for text in [*written, ended.stdout, ended.stderr] if b"hush" in text]
    assert not [path for path in tmp_path.rglob("*") if "hush" in path.name]
