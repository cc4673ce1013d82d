"""The card says what the tables of the run say, and nothing of what they do not hold."""

import json

import pandas as pd
import pytest

import write_model_card


@pytest.fixture
def given(tmp_path):
    """Tables with numbers that can be told apart."""
    tables = {
        "metrics": [
            dict(protocol="temporal", subset="all", metric=m, value=v, low=v - 0.1, high=v + 0.1)
            for m, v in (("R", 0.91), ("RMSE", 0.021))
        ]
        + [
            dict(protocol="leave_location_out", subset="all", metric=m, value=v, n=9, low=v, high=v)
            for m, v in (("R", 0.41), ("RMSE", 0.043))
        ],
        "intervals": [
            dict(level=0.9, applied=True, protocol="leave_location_out", subset="smci",
                 coverage_calibrated=0.87)
        ],
        "errors": [
            dict(quantity="map from true soil moisture at 250 m", value=0.033, low=0.01, high=0.05)
        ],
        "samples": [
            dict(quantity="samples", subset=s, value=v, n=v, low=None, high=None)
            for s, v in (("all", 50), ("insitu", 20), ("insitu train", 7), ("smci", 30))
        ]
        + [
            dict(quantity="places", subset=s, value=v, n=v, low=None, high=None)
            for s, v in (("all", 11), ("insitu", 4), ("smci", 7))
        ]
        + [
            dict(quantity=q, subset="all", value=v, n=9, low=None, high=None)
            for q, v in (("variance_between_places", 0.77), ("source_auc_of_terrain", 0.93))
        ],
        "search": [
            dict(rank=2, n_estimators=9, max_depth=5, max_features=0.3, min_samples_leaf=1),
            dict(rank=1, n_estimators=60, max_depth=None, max_features=0.3, min_samples_leaf=5),
        ],
    }  # fmt: skip
    paths = {name: str(tmp_path / f"{name}.csv") for name in tables}
    for name, rows in tables.items():
        pd.DataFrame(rows).to_csv(paths[name], index=False)
    years = []
    for year, share in (("2015", 0.9), ("2016", 0.7)):
        years.append(str(tmp_path / f"{year}.csv"))
        pd.DataFrame([dict(month=f"{year}-07", share_inside=share, share_beyond_range=0.2)]).to_csv(
            years[-1], index=False
        )
    (tmp_path / "applicability.json").write_text(json.dumps({"threshold": 0.527}))
    return paths | {
        "applicability": years,
        "parameters": str(tmp_path / "applicability.json"),
        "card": str(tmp_path / "card.md"),
        "title": "Zoige",
        "unit": "m3/m3",
        "predictors": ["NDVI", "sand"],
        "years": ["2015", "2016"],
        "test": ["2016"],
        "depth": [0, 0.05],
        "simulated": False,
        "product": True,
    }


def card(given, **changes):
    write_model_card.main(**given | changes)
    with open(given["card"], encoding="utf-8") as file:
        return file.read()


def test_every_number_of_the_tables_stands_in_it(given):
    text = card(given)
    for said in (
        "60 trees (unlimited depth, at least 5",
        "50 samples of 11 places (all); 20 samples of 4 places (insitu); 30 samples of 7 places",
        "77% of the target's variance",
        "| years unseen, places seen | 0.910 (0.810 to 1.010) | 0.021",
        "| places never seen | 0.410",
        "The 90% intervals hold for 87%",
        "off by 0.033 m3/m3 (0.010 to 0.050)",
        "at most 0.527: 80% of the cells on average, least in 2016-07 (70%)",
        "in 20% of the cells",
        "smaller than 0.033 m3/m3",
        "AUC 0.93",
        "0 to 0.05 m",
    ):
        assert said in text, said
    assert "simulated" not in text and "insitu train" not in text and "kNNDM" not in text


def test_simulated_data_are_called_so_first(given):
    assert card(given, simulated=True).splitlines()[2].startswith("**All data are simulated")


def test_a_study_of_a_table_says_nothing_of_products(given):
    assert "SMCI" in card(given)
    assert "SMCI" not in card(given, product=False)


def test_without_an_estimate_of_the_error_none_is_claimed(given):
    pd.DataFrame(columns=["quantity", "value", "low", "high", "n"]).to_csv(given["errors"])
    text = card(given)
    assert "Against the true soil moisture" not in text
    assert "smaller than the error above" in text
