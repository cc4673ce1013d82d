import statistics

import numpy as np
import pandas as pd
import pytest
from sklearn.ensemble import RandomForestRegressor

from _forest import save
from rank_predictors import importance, main


def data(n=400):
    rng = np.random.default_rng(3)
    x = rng.normal(size=(n, 3)).astype("float32")
    return x, 3 * x[:, 0] + x[:, 1]


def test_order_and_unit_follow_the_effect():
    """Permuting a column of effect b and variance 1 adds 2 b^2 to the MSE of a perfect model."""
    x, y = data()

    class Perfect(RandomForestRegressor):
        def predict(self, rows):
            return 3 * rows[:, 0] + rows[:, 1]

    model = Perfect(n_estimators=1).fit(x, y)
    found = importance(model, x, y, ["strong", "weak", "none"], 20, 1).set_index("predictor")
    assert found.index.tolist() == ["strong", "weak", "none"]
    assert abs(found.loc["strong", "mean"] - np.sqrt(2) * 3) < 0.3
    assert abs(found.loc["weak", "mean"] - np.sqrt(2)) < 0.15
    assert found.loc["none", "mean"] == 0


def test_mean_and_sd_are_those_of_the_repeats():
    x, y = data()
    model = RandomForestRegressor(5, random_state=0).fit(x, y)
    found = importance(model, x, y, ["a", "b", "c"], 3, 1)
    assert list(found)[:4] == ["predictor", "protocol", "mean", "sd"]
    for row in found.itertuples(index=False):
        assert row.mean == pytest.approx(statistics.mean(row[4:]))
        assert row.sd == pytest.approx(statistics.stdev(row[4:]))


def test_only_the_held_out_rows_are_used(tmp_path):
    x, y = data()
    model = RandomForestRegressor(10, random_state=0).fit(x[:200], y[:200])
    save(tmp_path / "forest.skops", model, ["a", "b", "c"])
    table = pd.DataFrame(x, columns=["a", "b", "c"]).assign(target=y, sample=range(400))
    found = []
    for shift in (0, 50):
        table.assign(target=y + np.where(np.arange(400) < 200, shift, 0)).to_parquet(
            tmp_path / "samples.parquet"
        )
        split = np.where(np.arange(400) < 200, "train", "test")
        pd.DataFrame({"sample": range(400), "split": split}).to_parquet(tmp_path / "folds.parquet")
        main(
            samples=tmp_path / "samples.parquet",
            folds=tmp_path / "folds.parquet",
            forest=tmp_path / "forest.skops",
            importance_file=tmp_path / "importance.csv",
            repeats=3,
            seed=1,
        )
        found.append((tmp_path / "importance.csv").read_text())
    assert found[0] == found[1]
    assert found[0].splitlines()[1].startswith("a,temporal,")
