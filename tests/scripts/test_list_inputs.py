"""Table 1 of a run, and the lock that pins its files."""

import json

import numpy as np
import pandas as pd
import pytest

from _raster import created, write
from list_inputs import files_of, main, missing_readings, missing_share, summary
from small_study import GRID, SMCI, area

ROADS = json.dumps(dict.fromkeys(("modis", "rain", "smci", "elevation"), "raw"))


def batch(folder, name, *rows):
    path = folder / f"{name}.csv"
    head = "path,bytes,sha256,delivered,address,fetched\n"
    path.write_text(head + "".join(",".join(row) + "\n" for row in rows))
    return str(path)


def test_a_file_that_two_jobs_read_is_listed_once(tmp_path):
    row = ("resources/raw/modis/MOD13Q1/2015-07-12/h26v05.hdf", "7", "a" * 64, "", "", "")
    other = ("resources/raw/modis/MOD13Q1/2015-06-26/h26v05.hdf", "5", "b" * 64, "", "", "")
    tables = [batch(tmp_path, "ndvi_2015", row, other), batch(tmp_path, "ndvi_2016", row)]
    files = files_of(tables)
    assert list(files["bytes"]) == [5, 7] and set(files["source"]) == {"ndvi"}


def test_missing_cells_are_counted_inside_the_study_area_only(tmp_path):
    layer = np.ones(GRID.shape)
    layer[:10] = np.nan
    write(str(tmp_path / "2010-06.tif"), GRID, {"NDVI": layer}, {"NDVI": "1"})
    write(str(tmp_path / "2010-07.tif"), GRID, {"NDVI": np.ones(GRID.shape)}, {"NDVI": "1"})
    inside = area()
    with created(tmp_path / "grid.tif", GRID, {"inside": "1"}, "uint8", 255) as target:
        target.write(inside.astype("uint8"), 1)
    months = [str(tmp_path / f"2010-{month}.tif") for month in ("06", "07")]
    expected = inside[:10].sum() / (2 * inside.sum())
    assert missing_share(months, str(tmp_path / "grid.tif")) == pytest.approx(expected)


def test_missing_station_months_are_counted(tmp_path):
    (tmp_path / "rain.csv").write_text("month,total\n2010-06,3\n2010-07,\n2010-08,\n2010-09,4\n")
    assert missing_readings(str(tmp_path / "rain.csv"), "total") == 0.5


def test_the_table_says_where_and_when_each_product_came_from():
    files = pd.DataFrame(
        {
            "path": ["a", "b", "c"],
            "bytes": [5, 7, 1],
            "fetched": ["2026-03-02T00:00:00Z", "2026-01-02T00:00:00Z", ""],
            "source": ["lst", "lst", "rain"],
        }
    )
    table = summary(files, {"modis": "earthdata", "rain": "simulated"}, {"lst": 0.25})
    lst, rain = table.to_dict("records")
    assert (lst["product"], lst["version"], lst["files"], lst["bytes"]) == ("MOD11A2", "061", 2, 12)
    assert (lst["from"], lst["missing_share"], lst["simulated"]) == ("earthdata", 0.25, 0)
    assert (lst["first_fetched"], lst["last_fetched"]) == ("2026-01-02", "2026-03-02")
    assert rain["product"] == "GSOD" and rain["simulated"] == 1 and rain["first_fetched"] == ""
    assert np.isnan(rain["missing_share"])


def test_the_lock_is_what_sha256sum_reads(tmp_path):
    row = ("resources/raw/rain/2010/1.csv", "7", "a" * 64, "1.csv", "https://x", "")
    layers = {"NDVI": np.ones(GRID.shape)}
    write(str(tmp_path / "ndvi/2010-06.tif"), GRID, layers, {"NDVI": "1"})
    bands = {"sand": np.ones(GRID.shape), "slope": np.ones(GRID.shape)}
    write(str(tmp_path / "static.tif"), GRID, bands, {"sand": "%", "slope": "degree"})
    write(str(tmp_path / "smci.tif"), SMCI, {"SMCI": np.ones(SMCI.shape)}, {"SMCI": "1"})
    with created(tmp_path / "grid.tif", GRID, {"inside": "1"}, "uint8", 255) as target:
        target.write(area().astype("uint8"), 1)
    (tmp_path / "rain.csv").write_text("total\n1\n")
    (tmp_path / "insitu.csv").write_text("value\n1\n")
    main(
        tables=[batch(tmp_path, "rain_2010", row)],
        rasters=[str(tmp_path / "ndvi/2010-06.tif")],
        static=str(tmp_path / "static.tif"),
        smci=[str(tmp_path / "smci.tif")],
        grid=str(tmp_path / "grid.tif"),
        rain=str(tmp_path / "rain.csv"),
        insitu=str(tmp_path / "insitu.csv"),
        listed=str(tmp_path / "inputs.csv"),
        lock=str(tmp_path / "inputs.lock"),
        roads=ROADS,
    )
    assert (tmp_path / "inputs.lock").read_text() == f"{'a' * 64}  resources/raw/rain/2010/1.csv\n"
    assert pd.read_csv(tmp_path / "inputs.csv")["missing_share"].tolist() == [0.0]
