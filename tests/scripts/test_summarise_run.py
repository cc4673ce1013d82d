import pandas as pd

from summarise_run import main, summary


def metrics():
    rows = [
        (protocol, subset, metric, value)
        for protocol, r_value, error in [
            ("train", 0.95, 0.017),
            ("temporal", 0.91, 0.023),
            ("leave_location_out", 0.65, 0.039),
        ]
        for subset, spoil in (("all", 0), ("insitu", 9))
        for metric, value in (("R", r_value + spoil), ("RMSE", error + spoil))
    ]
    return pd.DataFrame(rows, columns=["protocol", "subset", "metric", "value"])


def score():
    rows = [
        (product, period, metric, value + (1 if period == "all" else 0))
        for product, value in (("RF map", 0.7), ("SMCI nearest", 0.8))
        for period in ("all", "test")
        for metric in ("R", "RMSE")
    ]
    return pd.DataFrame(rows, columns=["product", "period", "metric", "value"])


def test_both_questions_are_answered_side_by_side():
    text = summary("Corner", "m3/m3", ["2009-05", "2018-10"], metrics(), None)
    assert "Corner: 2 maps" in text and "2009-05 to 2018-10" in text
    assert "other times, same places" in text and "R  0.91   RMSE 0.0230 m3/m3" in text
    assert "places never seen" in text and "R  0.65   RMSE 0.0390 m3/m3" in text
    assert "9.91" not in text, "stations alone are not the headline"
    assert "simulated" not in text and "random rows" not in text


def test_a_simulated_study_is_called_so_and_scored_in_the_test_months(tmp_path):
    metrics().to_csv(tmp_path / "metrics.csv")
    score().to_csv(tmp_path / "score.csv")
    main(
        metrics=tmp_path / "metrics.csv",
        score=tmp_path / "score.csv",
        headline=tmp_path / "headline.txt",
        title="Corner",
        unit="m3/m3",
        months=["2009-05"],
    )
    text = (tmp_path / "headline.txt").read_text()
    assert "Corner: 1 map\n" in text
    assert "All numbers are of simulated data" in text
    assert "RF map" in text and "SMCI nearest" in text and "1.70" not in text
