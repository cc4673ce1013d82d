import numpy as np
import pandas as pd
import pytest
from scipy.stats import linregress

import plot_scatter
from _log import UserError


def tables(n=500):
    rng = np.random.default_rng(1)
    target = rng.normal(0.38, 0.05, n)
    parts = [
        pd.DataFrame(dict(protocol=name, target=target, prediction=0.5 * target + noise))
        for name, noise in (
            ("train", 0.2),
            ("temporal", 0.2 + rng.normal(0, 0.02, n)),
            ("random_cv", 0.1),
            ("leave_location_out", 0.2 + rng.normal(0, 0.04, n)),
        )
    ]
    metrics = pd.DataFrame(
        [(p, "all", "R", 0.9) for p in ("train", "temporal")] + [("temporal", "smci", "R", 0.1)],
        columns=["protocol", "subset", "metric", "value"],
    )
    return pd.concat(parts, ignore_index=True), metrics


def test_fit_is_the_least_squares_line():
    predictions, _ = tables()
    part = predictions[predictions["protocol"] == "temporal"]
    expected = linregress(part["target"], part["prediction"])
    found = plot_scatter.fit(part["target"].to_numpy(), part["prediction"].to_numpy())
    assert found == pytest.approx((expected.slope, expected.intercept))
    assert np.isnan(plot_scatter.fit(np.ones(3), np.arange(3.0))).all()


def test_every_sample_falls_into_a_square_and_scores_come_from_the_metrics():
    predictions, metrics = tables()
    table, _ = plot_scatter.drawn(predictions, metrics)
    assert list(dict.fromkeys(table["protocol"])) == ["train", "temporal", "leave_location_out"]
    counts = table[table["item"] == "density"].groupby("protocol")["value"].sum()
    assert set(counts) == {500}
    item = table.set_index(["protocol", "item"])["value"]
    assert item["temporal", "R"] == 0.9
    assert item["train", "fit_slope"] == pytest.approx(0.5)
    assert item["train", "N"] == 500


def test_densities_are_of_target_by_prediction():
    edges = np.array([0.0, 1.0, 2.0])
    counts = plot_scatter.density(np.array([0.5, 0.5, 1.5]), np.array([1.5, 1.5, 0.5]), edges)
    assert counts.tolist() == [[0, 2], [1, 0]]


def test_panels_say_what_unseen_means(tmp_path):
    table, edges = plot_scatter.drawn(*tables())
    figure = plot_scatter.figure_of(table, edges, "m3/m3")
    titles = [axes.get_title(loc="left") for axes in figure.axes[:3]]
    assert titles == [
        "(a) training samples",
        "(b) unseen times, seen places",
        "(c) places never seen",
    ]
    assert figure.axes[0].get_xlabel() == "Target (m³/m³)"


def test_no_known_protocol_is_an_error():
    predictions, metrics = tables()
    only = predictions[predictions["protocol"] == "random_cv"]
    with pytest.raises(UserError, match=r"expected one of the protocols train.*found random_cv"):
        plot_scatter.drawn(only, metrics)


def test_main_writes_picture_and_numbers(tmp_path):
    predictions, metrics = tables()
    predictions.to_parquet(tmp_path / "p.parquet")
    metrics.to_csv(tmp_path / "m.csv", index=False)
    out = {end: str(tmp_path / f"f.{end}") for end in ("png", "pdf", "csv")}
    plot_scatter.main(
        str(tmp_path / "p.parquet"), str(tmp_path / "m.csv"), **out, note="", unit="m3/m3"
    )
    assert (tmp_path / "f.png").read_bytes()[:4] == b"\x89PNG"
    assert (tmp_path / "f.pdf").read_bytes()[:4] == b"%PDF"
    assert list(pd.read_csv(out["csv"])) == ["protocol", "item", "target", "prediction", "value"]
