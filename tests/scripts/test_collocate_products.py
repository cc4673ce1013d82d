"""Triple collocation at the stations: known errors are found, and too few stations say so."""

import numpy as np
import pandas as pd
import pytest

from collocate_products import NAMES, main, triplets

ERRORS = {"stations": 0.02, "SMCI, bilinear": 0.03, "SMC": 0.04}


def tables(sites=40, years=10, seed=1):
    rng = np.random.default_rng(seed)
    keys = [
        (f"s{site}", f"{2009 + year}-{month:02d}")
        for site in range(sites)
        for year in range(years)
        for month in (5, 7, 9)
    ]
    samples = pd.DataFrame(keys, columns=["site", "month"])
    truth = rng.normal(0.35, 0.05, len(samples))
    found = {name: truth + rng.normal(0, error, len(truth)) for name, error in ERRORS.items()}
    samples = samples.assign(sample=range(len(truth)), source="insitu", target=found["stations"])
    cells = samples.iloc[:5].assign(sample=range(9000, 9005), source="smci", target=9.0)
    products = samples[["sample"]].assign(**{name: found[name] for name in NAMES[1:]})
    return pd.concat([samples, cells]), products


def run(folder, samples, products):
    samples.to_parquet(folder / "samples.parquet")
    products.to_parquet(folder / "products.parquet")
    names = ("samples.parquet", "products.parquet", "collocation.csv")
    main(*(str(folder / name) for name in names), bootstrap=50, seed=1)
    return pd.read_csv(folder / "collocation.csv")


@pytest.mark.parametrize("of", ["values", "anomalies"])
@pytest.mark.parametrize("method", ["triple_collocation", "three_cornered"])
def test_known_errors_are_found(tmp_path, method, of):
    table = run(tmp_path, *tables())
    part = table[(table["method"] == method) & (table["of"] == of)]
    part = part[part["quantity"] == "error_variance"].set_index("product")
    for name, error in ERRORS.items():
        assert np.sqrt(part.loc[name, "value"]) == pytest.approx(error, rel=0.12)
        assert part.loc[name, "low"] < part.loc[name, "value"] < part.loc[name, "high"]


def test_a_product_that_is_a_predictor_too_is_taken_from_the_products():
    samples, products = tables(sites=2, years=1)
    rows = triplets(samples.assign(SMC=9.0), products)
    pd.testing.assert_series_equal(rows["SMC"], products["SMC"])


def test_only_stations_with_both_products_make_triplets():
    samples, products = tables(sites=2, years=1)
    products.loc[0, "SMC"] = np.nan
    rows = triplets(samples, products)
    assert len(rows) == 5 and list(rows) == ["site", "calendar", *NAMES]
    assert set(rows["calendar"]) == {"05", "07", "09"}


def test_months_of_one_year_have_values_and_no_anomalies(tmp_path, caplog):
    with caplog.at_level("INFO", "soil-moisture"):
        table = run(tmp_path, *tables(years=1))
    said = "120 of them are of a calendar month with one year at its station"
    assert any(line.startswith(said) for line in caplog.messages)
    anomalies = table[table["of"] == "anomalies"]
    assert anomalies["value"].isna().all() and (anomalies["n"] == 0).all()
    assert (anomalies["reason"] == "0 triplets, of 100 needed").all()
    assert table.loc[table["of"] == "values", "value"].notna().all()


@pytest.mark.parametrize("sites", [0, 1])
def test_too_few_triplets_give_no_number_and_the_reason(tmp_path, sites):
    samples, products = tables(sites=1, years=2)
    table = run(tmp_path, samples[samples["site"] == ("s0" if sites else "")], products)
    assert table["value"].isna().all()
    assert table["reason"].str.contains("triplets, of 100 needed").all()
