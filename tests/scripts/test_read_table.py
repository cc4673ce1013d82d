import numpy as np
import pandas as pd
import pytest

from _log import UserError
from conftest import real
from read_table import main, month_names, read, samples_of

COLUMNS = {"target": "VW", "site": "station", "date": "day", "x": "E", "y": "N"}


def frame():
    return pd.DataFrame(
        {
            "VW": [0.1, 0.2, np.nan, 0.4, 0.5],
            "station": ["b", "a", "a", "b", "c"],
            "day": ["2012-03-25", "2012-03-26", "2012-03-27", "2011-03-25", "2012-03-25"],
            "E": range(5),
            "N": range(5),
            "depth": [5, 5, 5, 5, 10],
            "NDVI": [0.5, 0.6, 0.7, 0.8, 0.9],
        }
    )


def taken(table, **change):
    options = dict(predictors=["NDVI"], where={"depth": 5}, years=[2012], months=[3]) | change
    return samples_of(table, COLUMNS, name="my.csv", **options)


def test_rows_are_filtered_counted_and_named_as_promised():
    found = taken(frame())
    assert found[["sample", "site", "group", "month", "target"]].values.tolist() == [
        [0, "a", "a", "2012-03-26", 0.2],
        [1, "b", "b", "2012-03-25", 0.1],
    ]
    assert list(found)[-2:] == ["NDVI", "target"] and set(found["source"]) == {"table"}


def test_dates_as_text_and_as_days_since_1970_are_the_same():
    assert month_names(pd.Series([15424.0, 0.0])).tolist() == ["2012-03-25", "1970-01-01"]
    assert month_names(pd.Series(["2012-03-25"])).tolist() == ["2012-03-25"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"predictors": ["NDVI", "LST"]}, r"my.csv: expected the columns LST, found .*VW.*Correct"),
        ({"where": {"altitude": 1}}, r"my.csv: expected the columns altitude"),
        ({"where": {"depth": 99}}, r"my.csv: expected rows to learn from, found none after table"),
        ({"years": [1999]}, r"expected rows to learn from, found none .* years 1999-1999"),
    ],
)
def test_what_a_table_lacks_is_named(change, message):
    with pytest.raises(UserError, match=message):
        taken(frame(), **change)


def test_a_predictor_without_any_value_is_named():
    with pytest.raises(UserError, match=r"found none in NDVI\. Remove them from table\.predictors"):
        taken(frame().assign(NDVI=np.nan))


def test_csv_and_parquet_give_the_same_samples(tmp_path):
    frame().to_csv(tmp_path / "t.csv", index=False)
    frame().to_parquet(tmp_path / "t.parquet")
    pd.testing.assert_frame_equal(
        taken(read(str(tmp_path / "t.csv"))), taken(read(str(tmp_path / "t.parquet")))
    )


def test_another_kind_of_file_is_refused(tmp_path):
    with pytest.raises(UserError, match=r"t\.xlsx: expected \.csv.*, found \.xlsx"):
        read(str(tmp_path / "t.xlsx"))


def test_the_cook_farm_has_42_stations_at_five_depths(tmp_path):
    """What the data's README says: 42 stations, 2010-2012, VW."""
    path = str(real("cookfarm/cookfarm.rda"))
    table = read(path)
    assert table["SOURCEID"].nunique() == 42 and table["altitude"].nunique() == 5
    main(
        table=path,
        samples=tmp_path / "samples.parquet",
        columns={
            "target": "VW",
            "site": "SOURCEID",
            "date": "Date",
            "x": "Easting",
            "y": "Northing",
        },
        predictors=["DEM", "NDRE.M"],
        where={"altitude": -0.3},
        years=[2012],
        months=list(range(1, 13)),
    )
    samples = pd.read_parquet(tmp_path / "samples.parquet")
    assert samples["group"].nunique() == 42
    assert samples["month"].between("2012-01-01", "2012-12-31").all()
    assert samples["target"].between(0, 0.7).all()
