"""The scores of the forest on disk; how they are computed is tested in test_scores_module."""

import logging

import numpy as np
import pandas as pd
import pytest

from score_predictions import main


@pytest.fixture
def predictions(tmp_path):
    """One place 0.1 too wet, the other 0.1 too dry, in two designs."""
    target = np.array([0.2, 0.3, 0.4, 0.5])
    part = pd.DataFrame({"source": "insitu", "group": list("aabb"), "target": target})
    part = part.assign(prediction=target + [0.1, 0.1, -0.1, -0.1])
    table = pd.concat([part.assign(protocol=name) for name in ("temporal", "knndm")])
    table.to_parquet(tmp_path / "predictions.parquet")
    return tmp_path / "predictions.parquet"


def test_main_writes_the_promised_columns(predictions, tmp_path, caplog):
    with caplog.at_level(logging.INFO):
        main(predictions, tmp_path / "metrics.csv", 20, 1)
    found = pd.read_csv(tmp_path / "metrics.csv")
    assert list(found) == ["protocol", "subset", "metric", "value", "n", "low", "high"]
    assert found["protocol"].drop_duplicates().tolist() == ["temporal", "knndm"]
    value = found[found["protocol"] == "knndm"].set_index("metric")
    assert value["value"]["RMSE"] == pytest.approx(0.1) and value["n"]["RMSE"] == 4
    assert value["value"]["bias"] == pytest.approx(0, abs=1e-12)
    assert (value["low"]["bias"], value["high"]["bias"]) == pytest.approx((-0.1, 0.1))
    assert "knndm RMSE 0.100 [0.100, 0.100] n 4" in caplog.text


def test_the_same_bytes_twice(predictions, tmp_path):
    for name in ("a", "b"):
        main(predictions, tmp_path / f"{name}.csv", 20, 1)
    assert (tmp_path / "a.csv").read_bytes() == (tmp_path / "b.csv").read_bytes()
