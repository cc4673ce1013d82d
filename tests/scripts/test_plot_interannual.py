import pandas as pd

import plot_interannual


def statistics(p, low=-0.001):
    return pd.DataFrame(
        [("sen_slope", "soil_moisture", "annual", 0.001, low, 0.003, p, 10)],
        columns="quantity of scale value low high p n".split(),
    )


def test_years_are_set_apart():
    places = plot_interannual.positions(["2010-05", "2009-09", "2009-08"])
    assert places == {"2009-08": 0, "2009-09": 1, "2010-05": 2 + plot_interannual.GAP}


def test_a_winter_is_not_torn_apart_and_is_tested_where_none_of_it_was_trained_on():
    winter = ["2015-11", "2015-12", "2016-01", "2016-11", "2016-12", "2017-01"]
    places = plot_interannual.positions(winter, begins=11)
    assert list(places.values()) == [0, 1, 2, *(n + plot_interannual.GAP for n in (3, 4, 5))]
    assert plot_interannual.tested(winter, ["2016-11", "2016-12", "2017"], 11) == {
        *winter[3:],
        "2017",
    }
    assert plot_interannual.tested([*winter, "2016"], ["2016"], 11) == {
        "2016-01",
        "2016-11",
        "2016-12",
    }


def test_trend_in_words():
    assert plot_interannual.trend(statistics(0.2)).endswith(
        "+1.00 × 10⁻³ m³/m³ a year (95 % −1.00 to +3.00), p = 0.20: none shown"
    )
    assert ": there is one" in plot_interannual.trend(statistics(0.01))
    assert "too few years" in plot_interannual.trend(statistics(0.2).iloc[:0])
    assert "too few" in plot_interannual.correlation(statistics(0.2), "monthly")


def test_one_year_of_three_months_without_rain_is_drawn(tmp_path):
    rows = [(period, "soil_moisture", 0.4, "m3/m3", 1) for period in ("2009-05", "2009-06", "2009")]
    table = pd.DataFrame(rows, columns="period quantity value unit share".split())
    table.to_csv(tmp_path / "s.csv", index=False)
    statistics(0.2).iloc[:0].to_csv(tmp_path / "t.csv", index=False)
    out = {end: f"{tmp_path}/f.{end}" for end in ("png", "pdf", "csv")}
    plot_interannual.main(
        f"{tmp_path}/s.csv",
        f"{tmp_path}/t.csv",
        **out,
        test=["2016"],
        note="simulated data",
        year_begins=1,
    )
    assert pd.read_csv(out["csv"])["period"].tolist() == ["2009-05", "2009-06", "2009"]
