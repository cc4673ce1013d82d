import re
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import build_page
from _log import UserError

PNG = b"\x89PNG" + bytes(12) + (1000).to_bytes(4) + b"not really"


def metrics():
    rows = []
    for protocol, rmse, r in (
        ("train", 0.010, 0.99),
        ("temporal", 0.023, 0.9),
        ("leave_location_out", 0.0375, 0.69),
    ):
        for subset in ("all", "insitu"):
            rows += [
                (protocol, subset, "R", r, 100, r - 0.01, r + 0.01),
                (protocol, subset, "RMSE", rmse, 100, np.nan, np.nan),
                (protocol, subset, "bias", -0.0001, 100, -0.001, 0.001),
            ]
    return pd.DataFrame(rows, columns=["protocol", "subset", "metric", "value", "n", "low", "high"])


def score():
    rows = [
        (product, period, metric, value, 10)
        for product, values in {
            "map": {"RMSE": 0.0527, "R": 0.696, "fine-scale R": 0.37},
            "SMCI, bilinear": {"RMSE": 0.0443, "R": 0.771, "fine-scale R": np.nan},
        }.items()
        for period in ("all", "test")
        for metric, value in values.items()
    ]
    return pd.DataFrame(rows, columns=["product", "period", "metric", "value", "n"])


def write_inputs(folder):
    report = folder / "report"
    report.mkdir()
    figures = []
    for stem in ("fig08b_months_2018", "fig03_scatter"):
        (report / f"{stem}.png").write_bytes(PNG)
        figures.append(str(report / f"{stem}.png"))
    metrics().to_csv(folder / "metrics.csv", index=False)
    score().to_csv(folder / "score.csv", index=False)
    pd.DataFrame(
        dict(rank=[1, 2], rmse=[0.03712, 0.04], max_depth=[np.nan, 10], n_estimators=[100, 1000])
    ).to_csv(folder / "search.csv", index=False)
    pd.DataFrame(dict(method=["<kriging>"], RMSE=[28.314], n=[430])).to_csv(
        folder / "rain.csv", index=False
    )
    (folder / "inputs.csv").write_text(
        "product,version,layer,native_grid,cadence,from,files,bytes,missing_share\n"
        "MOD11A2,061,LST_Day_1km,1 km sinusoidal,8 days,earthdata,1160,8120000000,0.0032\n"
        "ERA5-Land,,swvl1,0.1 degree,monthly,cds,10,9000000,\n"
    )
    return dict(
        figures=figures,
        metrics=str(folder / "metrics.csv"),
        search=str(folder / "search.csv"),
        score=str(folder / "score.csv"),
        rain=str(folder / "rain.csv"),
        inputs=str(folder / "inputs.csv"),
        maps=[str(folder / "maps/monthly/2018-05.tif")],
        page=str(report / "index.html"),
        title="Zoige <script>alert(1)</script> & more",
        unit="m3/m3",
        simulated=True,
        months=["2018-05"],
    )


class Reader(HTMLParser):
    """Collects what a browser would open, the visible words, and whether tags are closed."""

    def __init__(self, text):
        super().__init__()
        self.links, self.words, self.open, self.headings = [], [], [], []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.links += [value for name, value in attributes if name in ("src", "href")]
        if tag not in ("meta", "img"):
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, text):
        if self.open and self.open[-1] != "style":
            self.words.append(text)
            if self.open[-1] == "h2":
                self.headings.append(text)


def page(given):
    build_page.main(**given)
    return Path(given["page"]).read_text(encoding="utf-8")


def test_page_lists_what_went_in(tmp_path):
    text = page(write_inputs(tmp_path))
    row = "MOD11A2 061|LST_Day_1km|1 km sinusoidal|1,160|8,120.0|0.3%|earthdata"
    assert "<td>" + row.replace("|", "</td><td>") + "</td>" in text
    assert "<td>ERA5-Land</td>" in text and "<td>–</td><td>cds</td>" in text


def test_page_is_whole_escapes_the_title_and_fetches_nothing(tmp_path):
    text = page(write_inputs(tmp_path))
    reader = Reader(text)
    assert not reader.open, "every tag is closed"
    assert "<script" not in text
    assert "Zoige <script>alert(1)</script> & more" in reader.words
    assert "<kriging>" in reader.words
    assert not [link for link in reader.links if re.match(r"(https?:)?//", link)]
    assert "@import" not in text and "url(" not in text


def test_links_are_relative_to_the_page(tmp_path):
    given = write_inputs(tmp_path)
    links = Reader(page(given)).links
    assert "../maps/monthly/2018-05.tif" in links
    assert {"fig03_scatter.png", "fig03_scatter.pdf", "fig03_scatter.csv"} <= set(links)
    assert 'style="width:700px"' in Path(given["page"]).read_text(encoding="utf-8")
    assert sum(link.startswith("data:image/png;base64,") for link in links) == 2


def test_simulated_page_says_so_on_top_and_over_every_number(tmp_path):
    reader = Reader(page(write_inputs(tmp_path)))
    text = " ".join(reader.words)
    assert text.index("Simulated data") < text.index("RMSE")
    assert all("(simulated)" in heading for heading in reader.headings if heading != "Files")


def test_real_page_has_no_banner_and_no_truth(tmp_path):
    given = write_inputs(tmp_path) | dict(simulated=False, score=[], rain=[])
    text = " ".join(Reader(page(given)).words)
    assert "imulated" not in text.replace("Simulated corner", "")
    assert "truth" not in text.lower()


def test_accuracy_begins_with_places_never_seen():
    first, second = build_page.accuracy_words(metrics(), "m³/m³")
    assert first == (
        "At places it has never seen, the forest is off by 0.037 m³/m³ (RMSE; R 0.690). "
        "Nearly every cell is such a place."
    )
    assert second.startswith("At times it has not seen, but at places it was trained on,")
    assert "0.023 m³/m³ (RMSE; R 0.900)" in second


def test_metrics_without_a_validation_are_an_error():
    only = metrics().query("protocol == 'train'")
    with pytest.raises(UserError, match=r"expected R and RMSE.*found the protocols train\. Run"):
        build_page.accuracy_words(only, "m³/m³")


def test_validation_table_has_intervals_where_there_are_any():
    head, rows = build_page.validation(metrics())
    assert head == ["Judged on", "R", "RMSE", "bias", "n"]
    assert rows[0] == [
        build_page.DESIGNS["train"], "0.990 (0.980 to 1.000)", "0.010", "0.000", "100",
    ]  # fmt: skip
    assert rows[1][0] == "– only stations"
    assert [row[0] for row in rows[::2]] == [
        build_page.DESIGNS[name] for name in ("train", "temporal", "leave_location_out")
    ]


def test_optimism_is_the_claim_minus_the_truth():
    _, rows = build_page.optimism(metrics(), score())
    assert rows[1] == [build_page.DESIGNS["temporal"], "0.023", "−0.030", "0.900", "0.204"]
    assert rows[-1] == ["The map against the truth", "0.053", "", "0.696", ""]


def test_truth_words_name_the_bar_to_clear():
    words = build_page.truth_words(score(), "m³/m³")
    assert "maps are off by 0.053 m³/m³ (R 0.696), interpolated SMCI by 0.044" in words


def test_products_stand_side_by_side_in_the_published_order():
    head, rows = build_page.against_truth(score(), "all")
    assert head == ["Against the truth", "map", "SMCI, bilinear"]
    assert rows == [
        ["R", "0.696", "0.771"],
        ["RMSE", "0.053", "0.044"],
        ["fine-scale R", "0.370", "–"],
    ]


@pytest.mark.parametrize(
    ("value", "text"),
    [(-6.5e-15, "0"), (1234, "1,234"), (28.314, "28.3"), (-0.0601, "−0.0601"), ("a", "a")],
)
def test_cells_of_small_tables_are_readable(value, text):
    assert build_page.cell(value) == text


def test_search_shows_full_depth_in_words():
    table = pd.DataFrame(dict(rank=[2, 1], rmse=[0.04, 0.037123], max_depth=[10, np.nan]))
    head, rows = build_page.tuning(table)
    assert head == ["rank", "rmse", "max_depth"]
    assert rows == [["1", "0.0371", "unlimited"], ["2", "0.04", "10"]]


@pytest.mark.parametrize(
    ("stem", "begins"),
    [
        ("fig08_products_2018", "The map beside"),
        ("fig08b_months_2018", "The maps of the year"),
        ("fig08_maps", "The map, and what was measured"),
        ("fig99_new_thing", "fig99 new thing"),
    ],
)
def test_figures_find_their_captions(stem, begins):
    assert build_page.caption_of(stem).startswith(begins)


def test_caption_of_the_scatter_says_what_unseen_means():
    assert "of places the forest was trained on" in build_page.caption_of("fig03_scatter")


def test_same_inputs_give_the_same_page(tmp_path):
    given = write_inputs(tmp_path)
    assert page(given) == page(given)
    assert not [path for path in (tmp_path / "report").iterdir() if path.name.startswith(".")]
