import numpy as np
import pandas as pd
import pytest

import plot_correlation
from _log import UserError


def samples():
    rng = np.random.default_rng(1)
    a = rng.normal(size=200)
    return pd.DataFrame(dict(a=a, minus=-2 * a + 1, b=a + rng.normal(size=200), c=3.0))


def test_matrix_equals_numpy_and_knows_signs():
    table = samples()
    matrix = plot_correlation.correlations(table, ["b", "a", "minus"])
    np.testing.assert_allclose(matrix, np.corrcoef(table[["b", "a", "minus"]].T))
    assert matrix.loc["a", "minus"] == pytest.approx(-1)


def test_constant_predictor_has_no_correlation_and_is_drawn_as_a_dash():
    matrix = plot_correlation.correlations(samples(), ["a", "c"])
    assert np.isnan(matrix.loc["a", "c"])
    texts = plot_correlation.figure_of(matrix, 200).axes[0].texts
    assert [text.get_text() for text in texts] == ["–", "–"]


def test_missing_predictor_is_named():
    with pytest.raises(UserError, match=r"column for each predictor, found none for NDVI"):
        plot_correlation.correlations(samples(), ["a", "NDVI"])


def test_main_writes_picture_and_matrix(tmp_path, caplog):
    samples().to_parquet(tmp_path / "s.parquet")
    out = {end: str(tmp_path / f"f.{end}") for end in ("png", "pdf", "csv")}
    with caplog.at_level("INFO", "soil-moisture"):
        plot_correlation.main(
            str(tmp_path / "s.parquet"), **out, predictors=["a", "b", "c"], note="simulated data"
        )
    written = pd.read_csv(out["csv"], index_col="predictor")
    assert written.loc["a", "b"] == pytest.approx(samples()[["a", "b"]].corr().iloc[0, 1])
    assert "200 samples; constant predictors: c" in caplog.text
    assert (tmp_path / "f.png").stat().st_size > 1000
