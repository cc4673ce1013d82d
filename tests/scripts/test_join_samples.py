"""One table of samples: targets, losses, groups, numbers."""

import logging

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

import join_samples
from _log import UserError
from _predictors import PAPER as PREDICTORS
from join_samples import cells_for, group_of, losses, numbered, with_target


def rows(source, sites, months=("2010-06",), **values):
    table = pd.DataFrame(
        [(source, site, month, 1.0, 2.0, 102.142, 33.886) for site in sites for month in months],
        columns=["source", "site", "month", "x", "y", "lon", "lat"],
    )
    table = table.assign(**dict.fromkeys(PREDICTORS, 0.2))
    if source == "smci":
        table["target"] = 0.4
    return table.assign(LST=12.0, **values) if "LST" not in values else table.assign(**values)


def insitu(*records):
    return pd.DataFrame(records, columns=["site", "month", "value", "kept"])


def test_only_kept_months_are_targets():
    table = with_target(
        rows("insitu", ["A", "B", "C"]),
        insitu(("A", "2010-06", 0.31, 1), ("B", "2010-06", 0.25, 0), ("A", "2010-07", 0.5, 1)),
    )
    assert table["target"].to_numpy() == pytest.approx([0.31, np.nan, np.nan], nan_ok=True)
    assert table["site"].tolist() == ["A", "B", "C"]


def test_each_row_is_lost_for_the_first_reason():
    table = rows("smci", list("ABCDEF"))
    table.loc[0, "target"] = np.nan
    table.loc[0, "NDVI"] = np.nan
    table.loc[1, "SMC"] = np.nan
    table.loc[2, "LST"] = 0.0
    table.loc[3, "albedo"] = 0.4
    table.loc[4, ["LST", "albedo"]] = [0.001, 0.399]
    expected = ["no target", "no SMC", "LST <= 0 degC", "albedo >= 0.4", "", ""]
    assert losses(table, PREDICTORS, 0.0, 0.4).tolist() == expected


@pytest.mark.parametrize("name", PREDICTORS)
def test_a_row_without_any_one_predictor_is_lost(name):
    table = rows("smci", ["A", "B"])
    table.loc[0, name] = np.nan
    assert losses(table, PREDICTORS, 0.0, 0.4).tolist() == [f"no {name}", ""]


def test_places_of_one_cell_of_30_arc_seconds_share_a_group():
    # Row (90 - 33.886) * 120 = 6733.68, column (180 + 102.142) * 120 = 33857.04.
    assert group_of([102.142, 102.1499], [33.886, 33.8842]).tolist() == ["06733_33857"] * 2
    assert group_of([102.1416], [33.886]).tolist() == ["06733_33856"]
    assert group_of([102.142], [33.8832]).tolist() == ["06734_33857"]


@given(st.integers(0, 21599), st.integers(0, 43199))
def test_a_cells_edge_belongs_to_the_cell_it_begins(row, col):
    assert group_of([col / 120 - 180], [90 - row / 120]).tolist() == [f"{row:05d}_{col:05d}"]


def test_samples_are_sorted_numbered_and_have_the_promised_columns():
    table = pd.concat([rows("smci", ["b", "a"], ["2010-07", "2010-06"]), rows("insitu", ["z"])])
    result = numbered(table.assign(target=0.3), ["SMC", "NDVI"])
    keys = ["sample", "source", "site", "group", "month", "x", "y"]
    assert list(result.columns) == [*keys, "SMC", "NDVI", "target"]
    assert result["sample"].tolist() == [0, 1, 2, 3, 4]
    assert result["site"].tolist() == ["z", "a", "a", "b", "b"]
    assert result["month"].tolist() == ["2010-06"] + ["2010-06", "2010-07"] * 2


def test_how_many_cells_would_give_the_papers_number():
    table = pd.concat([rows("smci", ["a", "b"], ["2010-06", "2010-07"]), rows("insitu", ["z"])])
    # One station row, two rows a cell: 101 samples need 50 cells.
    assert cells_for(101, table) == pytest.approx(50.0)
    assert np.isnan(cells_for(101, rows("insitu", ["z"])))


def run(folder, stations, smci, means):
    paths = [str(folder / name) for name in ("stations.parquet", "smci.parquet", "insitu.csv")]
    stations.to_parquet(paths[0])
    smci.to_parquet(paths[1])
    means.to_csv(paths[2], index=False)
    join_samples.main(*paths, str(folder / "samples.parquet"), PREDICTORS, 0.0, 0.4)
    return pd.read_parquet(folder / "samples.parquet")


def test_losses_are_counted_by_source_and_reason(tmp_path, caplog):
    smci = rows("smci", list("abcd"))
    smci.loc[0, "ET"] = np.nan
    smci.loc[1:2, "LST"] = -1.0
    with caplog.at_level(logging.INFO):
        table = run(tmp_path, rows("insitu", ["A", "B"]), smci, insitu(("A", "2010-06", 0.3, 1)))
    assert len(table) == 2
    assert table["target"].tolist() == [0.3, 0.4]
    assert "insitu: 1 of 2 rows stay; lost: 1 no target" in caplog.text
    assert "smci: 1 of 4 rows stay; lost: 2 LST <= 0 degC, 1 no ET" in caplog.text
    assert "9605 SMCI cells would give the paper's 9606" in caplog.text


@pytest.mark.parametrize("source", ["insitu", "smci"])
def test_a_source_of_which_nothing_is_left_is_not_left_out_silently(tmp_path, source):
    """A study that says it learns from stations must not learn from the product alone."""
    stations, cells = rows("insitu", ["A", "B"]), rows("smci", ["C", "D", "E"])
    months = [("A", "2010-06", 0.3, 1), ("B", "2010-06", 0.3, 1)]
    if source == "insitu":
        months = [("A", "2010-06", np.nan, 0)]
    else:
        cells["ET"] = np.nan
    lost = {"insitu": "2 rows is left. Lost: 2 no target", "smci": "3 rows is left. Lost: 3 no ET"}
    with pytest.raises(UserError, match=f"{source}.*: expected samples of {source}") as error:
        run(tmp_path, stations, cells, insitu(*months))
    assert lost[source] in str(error.value) and f"{source}: none" in str(error.value)


def test_stations_without_a_sample_are_named(tmp_path, caplog):
    with caplog.at_level(logging.INFO, logger="soil-moisture"):
        run(
            tmp_path,
            rows("insitu", ["A", "B"]),
            rows("smci", ["C"]),
            insitu(("B", "2010-06", 0.3, 1)),
        )
    assert "Stations without a sample, 1 of 2: A. logs/average_insitu" in caplog.text


def test_without_smci_cells_the_stations_are_the_samples(tmp_path):
    empty = rows("smci", ["a"]).iloc[:0]
    table = run(tmp_path, rows("insitu", ["A"]), empty, insitu(("A", "2010-06", 0.3, 1)))
    assert table["source"].tolist() == ["insitu"]


def test_same_rows_give_the_same_bytes(tmp_path):
    given = rows("insitu", ["A"]), rows("smci", ["a"]), insitu(("A", "2010-06", 0.3, 1))
    run(tmp_path, *given)
    first = (tmp_path / "samples.parquet").read_bytes()
    run(tmp_path, *given)
    assert (tmp_path / "samples.parquet").read_bytes() == first


def test_no_sample_left_says_what_removed_most(tmp_path):
    smci = rows("smci", list("abc"), albedo=0.6)
    with pytest.raises(UserError, match=r"left. Lost: 3 albedo >= 0.4, 1 no target"):
        run(tmp_path, rows("insitu", ["A"]), smci, insitu())
