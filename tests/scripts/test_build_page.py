import re
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import _sections
import build_page
from _log import UserError
from _trust import STATED

PNG = b"\x89PNG" + bytes(12) + (1000).to_bytes(4) + (500).to_bytes(4) + b"not really"
REPORT = Path(build_page.__file__).resolve().parents[1] / "report"
CAPTIONS = {path.stem: path.read_text(encoding="utf-8") for path in REPORT.glob("fig*.rst")}


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


def bars():
    rows = [
        ("white noise", "temporal", 0.857),
        ("white noise", "leave_location_out", 0.059),
        ("look-up", "temporal", 0.888),
    ]
    table = pd.DataFrame(rows, columns=["model", "protocol", "value"])
    return table.assign(subset="all", metric="R", n=9, low=np.nan, high=np.nan)


def errors():
    quantities = ["product from true soil moisture at 250 m", STATED]
    return pd.DataFrame(dict(quantity=quantities, value=0.0423, low=0.0128, high=0.06, n=26))


def trust():
    values = {
        "coverage of the interval": 0.908,
        "width of the interval": 0.142,
        "RMSE inside": 0.0415,
        "RMSE outside": 0.0506,
    }
    return pd.DataFrame(dict(quantity=values.keys(), value=values.values(), n=5))


def claims(*groups):
    values = {"claimed": 0.5, "target": 0.034, "truth": 0.042, "stated": 0.0423}
    rows = [(group, "a row", "this study", values[group]) for group in groups]
    return pd.DataFrame(rows, columns=["group", "row", "model", "value"])


def samples():
    return pd.DataFrame(
        dict(
            quantity=["variance_between_places", "source_auc_of_terrain"],
            subset="all",
            value=[0.82, 0.925],
            low=[0.81, 0.838],
            high=[0.84, 0.989],
        )
    )


def applicability():
    return pd.DataFrame(
        dict(
            month=["2018-05", "2018-06"],
            share_inside=[0.94, 0.96],
            share_beyond_range=[0.06, 0.08],
            median_di=0.09,
        )
    )


def intervals():
    return pd.DataFrame(
        dict(
            level=0.9,
            applied=True,
            protocol=["temporal", "leave_location_out"],
            subset="all",
            coverage=0.88,
            coverage_calibrated=0.9,
            coverage_calibrated_low=np.nan,
            coverage_calibrated_high=np.nan,
            width_calibrated=0.12,
            places=25,
        )
    )


def sites():
    rows = [("mean of sites", "all years", "forest", "R", 0.9, 9)]
    return pd.DataFrame(rows, columns=["site", "way", "model", "metric", "value", "n"])


def collocation():
    kinds = [
        (m, of) for m in ("triple_collocation", "three_cornered") for of in ("values", "anomalies")
    ]
    table = pd.DataFrame(kinds, columns=["method", "of"])
    return table.assign(
        product="stations",
        quantity="error_variance",
        value=[np.nan, 0.0004, 0.0004, 0.0004],
        low=0.0,
        high=0.0009,
        reason=["75 triplets, of 100 needed", None, None, None],
    )


def paper():
    rows = [("N22", 0.45, 0.44, "agrees"), ("F9", 1, 2, "differs"), ("F10", 1, 1, "agrees")]
    return pd.DataFrame(rows, columns=["id", "paper", "ours", "verdict"])


def series():
    months = [f"20{year:02d}" for year in range(1, 19)]
    parts = [
        pd.DataFrame(dict(period=months, quantity=name, value=0.4, unit=unit, share=1))
        for name, unit in (("soil_moisture", "m3/m3"), ("rain", "mm/month"))
    ]
    return pd.concat(parts)


def write_inputs(folder):
    report = folder / "report"
    report.mkdir()
    figures = []
    for stem in ("fig08b_months_2018", "fig13_claims", "fig03_scatter"):
        (report / f"{stem}.png").write_bytes(PNG)
        figures.append(str(report / f"{stem}.png"))
    search = dict(rank=[1, 2], rmse=[0.03712, 0.04], max_depth=[np.nan, 10])
    tables = dict(
        claims=claims("claimed", "target", "truth"),
        metrics=metrics(),
        baseline=metrics().assign(value=metrics()["value"] / 2),
        bars=bars(),
        sites=sites(),
        samples=samples(),
        intervals=intervals(),
        errors=errors(),
        search=pd.DataFrame(search | dict(n_estimators=[100, 1000])),
        score=score(),
        trust=trust(),
        collocation=collocation(),
        rain=pd.DataFrame(dict(method=["<kriging>"], RMSE=[28.314], n=[430])),
        applicability=applicability(),
        paper=paper(),
        series=series(),
        statistics=pd.DataFrame(dict(quantity=["correlation"], of=["rain<b>"], value=[0.613])),
        products=pd.DataFrame(dict(product=["SMCI"], metric=["R"], value=[0.81], n=[9])),
        description=pd.DataFrame(dict(quantity=["mean"], part=["all"], value=[0.4], n=[9])),
        trend=pd.DataFrame(dict(month=["05"], quantity=["share_increasing"], value=[0.31])),
    )
    for name, table in tables.items():
        table.to_csv(folder / f"{name}.csv", index=False)
    (folder / "inputs.csv").write_text(
        "product,version,layer,native_grid,cadence,from,files,bytes,missing_share\n"
        "MOD11A2,061,LST_Day_1km,1 km sinusoidal,8 days,earthdata,1160,8120000000,0.0032\n"
        "ERA5-Land,,swvl1,0.1 degree,monthly,cds,10,9000000,\n"
    )
    given = {name: str(folder / f"{name}.csv") for name in [*tables, "inputs"]}
    return given | dict(
        trends=[given.pop("trend")],
        captions=[str(path) for path in sorted(REPORT.glob("fig*.rst"))],
        viewer=str(REPORT / "viewer.js"),
        style=str(REPORT / "viewer.css"),
        index=str(report / "layers/index.js"),
        commit="0123abc",
        settings='{"title": "<b>bold</b>"}',
        figures=figures,
        applicability=[str(folder / "applicability.csv")],
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
        self.links, self.words, self.open, self.headings, self.tags = [], [], [], [], []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.links += [value for name, value in attributes if name in ("src", "href")]
        self.tags.append(tag)
        if tag not in ("meta", "img"):
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, text):
        if self.open and self.open[-1] not in ("style", "script"):
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
    assert reader.tags.count("script") == 2 and "<b>" not in text, "those of the maps only"
    assert "Zoige <script>alert(1)</script> & more" in reader.words
    assert "<kriging>" in reader.words
    assert not [link for link in reader.links if re.match(r"(https?:)?//", link)]
    assert "@import" not in text and "url(" not in text


def test_links_are_relative_to_the_page(tmp_path):
    given = write_inputs(tmp_path)
    links = Reader(page(given)).links
    assert "../maps/monthly/2018-05.tif" in links
    assert {"fig03_scatter.png", "fig03_scatter.pdf", "fig03_scatter.csv"} <= set(links)
    assert "width=700 height=350" in Path(given["page"]).read_text(encoding="utf-8")
    assert "layers/index.js" in links


def test_simulated_page_says_so_on_top_and_over_every_number(tmp_path):
    reader = Reader(page(write_inputs(tmp_path)))
    text = " ".join(reader.words)
    assert text.index("Simulated data") < text.index("RMSE")
    assert all(
        "(simulated)" in heading
        for heading in reader.headings
        if heading not in ("How it was made", "Files")
    )


def real_study(folder):
    given = write_inputs(folder)
    claims("claimed", "target", "stated").to_csv(given["claims"], index=False)
    return given | dict(simulated=False, score=[], trust=[])


def table_study(folder):
    given = real_study(folder)
    claims("claimed").to_csv(given["claims"], index=False)
    errors()[:0].to_csv(given["errors"], index=False)
    sites()[:0].to_csv(given["sites"], index=False)
    samples()[:1].to_csv(given["samples"], index=False)
    metrics().query("subset == 'all'").to_csv(given["metrics"], index=False)
    maps = Path(given["figures"][0]).with_name("fig08_maps.png")
    maps.write_bytes(PNG)
    given["figures"][0] = str(maps)
    none = ("collocation", "rain", "inputs", "paper", "series", "statistics", "products")
    return given | dict.fromkeys([*none, "description", "trends"], [])


def test_real_page_has_no_banner_and_no_truth(tmp_path):
    text = " ".join(Reader(page(real_study(tmp_path))).words)
    assert "imulated" not in text
    assert "truth" not in text.lower()
    assert "This run states that its maps" in text


def test_page_of_a_table_has_no_section_of_what_it_does_not_have(tmp_path):
    reader = Reader(page(table_study(tmp_path)))
    assert reader.headings == [
        "The maps",
        "What is claimed, and what is so",
        "How accurate the forest is",
        "What the forest must beat",
        "How sure the maps are",
        "Area of applicability",
        "What the samples are like",
        "Figures",
        "How the forest was tuned",
        "How it was made",
        "Files",
    ]
    text = " ".join(reader.words)
    assert "The bounds are for what the forest has learned from." in text
    assert "SMCI" not in text and "station" not in text.replace("station-months", "")
    assert "AUC" not in text and "This run states" not in text


def test_a_simulated_study_has_every_section(tmp_path):
    reader = Reader(page(write_inputs(tmp_path)))
    heads = [head.removesuffix(" (simulated)") for head in reader.headings]
    assert heads[:4] == [
        "The maps",
        "What is claimed, and what is so",
        "How good the maps really are",
        "How accurate the forest is",
    ]
    assert {"The stations one by one", "Three records judged by each other"} <= set(heads)
    text = " ".join(reader.words)
    assert "No value: 75 triplets, of 100 needed." in text
    assert "The published lower and upper bounds are for the true soil moisture" in text


def test_the_stated_error_comes_first_with_its_interval(tmp_path):
    (words,) = build_page.stated_words(errors(), "m³/m³")
    assert "by 0.042 m³/m³ (RMSE; 95 % interval 0.013 to 0.060)" in words
    assert "from 26 stations" in words
    assert words.endswith("which also show the error of SMCI itself.")
    assert build_page.stated_words(errors()[:0], "m³/m³") == []
    alone = errors()[errors()["quantity"] == STATED]
    (other,) = build_page.stated_words(alone, "m³/m³")
    assert other.endswith("stations left out, less what a station itself is off.")
    text = " ".join(Reader(page(write_inputs(tmp_path))).words)
    assert text.index(words) < text.index("At places it has never seen")


def test_accuracy_begins_with_places_never_seen_and_ends_with_the_paper():
    half = metrics().assign(value=metrics()["value"] / 2)
    first, second, third = build_page.accuracy_words(metrics(), half, "m³/m³")
    assert first == (
        "At places it has never seen, the forest is off by 0.037 m³/m³ (RMSE; R 0.690). "
        "Nearly every cell is such a place."
    )
    assert second.startswith("At times it has not seen, but at places it was trained on,")
    assert "0.023 m³/m³ (RMSE; R 0.900)" in second
    assert third == (
        "The paper's protocol would claim 0.011 m³/m³ by the second of these tests; by the first "
        "it is off by 0.019."
    )
    assert len(build_page.accuracy_words(metrics(), None, "m³/m³")) == 2


def test_bars_in_words_are_the_numbers_of_the_table():
    assert build_page.bars_words(metrics(), bars()) == (
        "At unseen times of places seen, a forest on nothing but a random number per place has "
        "R 0.857, a look-up of place and month 0.888, this forest 0.900. At places left out the "
        "random number has R 0.059, this forest 0.690."
    )


def test_claims_in_words_go_as_far_as_the_study_knows():
    every = claims("claimed", "target", "truth")
    assert build_page.claims_words(metrics(), every, "m³/m³") == (
        "What validation claims (RMSE, m³/m³): unseen times of places seen (the usual) 0.023; "
        "places left out 0.037. In every SMCI cell the forest is off by 0.034. From the soil "
        "moisture itself the map is off by 0.042."
    )
    only = build_page.claims_words(metrics(), claims("claimed"), "m³/m³")
    assert only.endswith("(the usual) 0.023; places left out 0.037.")


def test_claims_of_smci_cells_are_called_so():
    """They differ from those of all samples, which stand at the top of the page."""
    both = metrics()
    cells = both[both["subset"] == "all"].assign(subset="smci", value=lambda t: t["value"] - 0.0021)
    said = build_page.claims_words(pd.concat([both, cells]), claims("claimed"), "m³/m³")
    assert said.startswith("What validation claims at SMCI cells (RMSE, m³/m³): ")
    assert said.endswith("(the usual) 0.021; places left out 0.035.")


def test_applicability_tells_the_error_only_where_it_is_known():
    real = _sections.applicability_words(applicability(), None, "m³/m³")
    assert real.startswith("95 % of the cells are inside the area of applicability")
    assert real.endswith("7 % have a predictor beyond its range in training.")
    simulated = _sections.applicability_words(applicability(), trust(), "m³/m³")
    assert simulated.startswith(real) and "0.042 m³/m³ inside and 0.051 outside" in simulated


def test_samples_in_words_keep_silent_without_a_value():
    share, auc = build_page.samples_words(samples())
    assert share.startswith("82 % (81 % to 84 %) of the target's variance lies between places")
    assert "AUC of 0.925 (0.838 to 0.989)" in auc
    assert build_page.samples_words(samples().assign(value=np.nan)) == []


def test_caption_of_the_claims_tells_what_is_drawn():
    def caption(*groups):
        return build_page.caption_of("fig13_claims", CAPTIONS, claims(*groups))

    real = caption("claimed", "target", "stated")
    assert real.startswith("What each validation claims.")
    assert "It is not a measurement." in real and "truth" not in real
    assert "samples of SMCI alone" in real
    assert "simulated truth of every 250 m cell" in caption("claimed", "target", "truth")
    assert "SMCI" not in caption("claimed")


def test_metrics_without_a_validation_are_an_error():
    only = metrics().query("protocol == 'train'")
    with pytest.raises(UserError, match=r"expected R and RMSE.*found the protocols train\. Run"):
        build_page.accuracy_words(only, None, "m³/m³")


def test_truth_words_name_the_bar_to_clear():
    words = _sections.truth_words(score(), "m³/m³")
    assert "maps are off by 0.053 m³/m³ (R 0.696), interpolated SMCI by 0.044" in words
    alone = score()[score()["product"] == "map"]
    assert _sections.truth_words(alone, "m³/m³").endswith("off by 0.053 m³/m³ (R 0.696).")


@pytest.mark.parametrize(
    ("known", "product", "said"),
    [
        (False, True, "nothing is added for it"),
        (True, True, "the error of SMCI itself is added"),
        (True, False, "what a station would read"),
    ],
)
def test_bounds_are_said_to_be_of_what_they_are(known, product, said):
    assert said in _sections.interval_words(known, product)


@pytest.mark.parametrize(
    ("stem", "told"),
    [
        ("fig08_maps", "of maps"),
        ("fig08_products_2018", "of products"),
        ("fig99_new_thing", "fig99 new thing"),
    ],
)
def test_figures_find_their_captions(stem, told):
    captions = {"fig08": "of all", "fig08_maps": "of maps", "fig08_products": "of products"}
    assert build_page.caption_of(stem, captions, claims("claimed")) == told


def test_a_caption_is_one_paragraph_that_says_what_must_be_known():
    assert {"fig03_scatter", "fig06_correlation", "fig07_importance", "fig08_maps"} <= set(CAPTIONS)
    for stem, text in CAPTIONS.items():
        assert text.endswith(".\n") and text.count("\n") == 1, stem
    assert "of places the forest was trained on" in CAPTIONS["fig03_scatter"]


def test_numbers_of_the_paper_are_counted_by_verdict(tmp_path):
    text = " ".join(Reader(page(write_inputs(tmp_path))).words)
    assert "3 numbers of the paper: 2 agrees, 1 differs." in text


def test_long_tables_are_folded_and_months_keep_their_name(tmp_path):
    text = page(write_inputs(tmp_path))
    assert "<summary>Means over the area (18 rows)</summary>" in text
    assert "<th scope=col>soil_moisture (m³/m³)</th><th scope=col>rain (mm/month)</th>" in text
    assert "<td>05</td><td>share_increasing</td><td>0.31</td>" in text


def test_page_says_what_made_it(tmp_path):
    text = page(write_inputs(tmp_path))
    assert "<td>this workflow</td><td>0123abc</td>" in text
    assert f"<td>pandas</td><td>{pd.__version__}</td>" in text
    assert "{&quot;title&quot;: &quot;&lt;b&gt;bold" in text


def test_same_inputs_give_the_same_page(tmp_path):
    given = write_inputs(tmp_path)
    assert page(given) == page(given)
    assert not [path for path in (tmp_path / "report").iterdir() if path.name.startswith(".")]
