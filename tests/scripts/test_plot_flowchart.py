"""The graph of the rules: what is read from Snakemake's print, what is drawn of it."""

import json
import os
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import plot_flowchart
from _log import UserError
from plot_flowchart import ROOMS, arranged, graph_of, heights, reduced, rooms_of, stepwise

DOT = """digraph snakemake_dag {
    graph[bgcolor=white, margin=0];
    node[shape=box, style=rounded];
\t0[label = "all", color = "0.00 0.6 0.85", style="rounded"];
\t1[label = "plot_maps", color = "0.1 0.6 0.85", style="rounded,dashed"];
\t2[label = "predict_maps_2015", color = "0.2 0.6 0.85", style="rounded"];
\t3[label = "predict_maps_2016", color = "0.3 0.6 0.85", style="rounded,dashed"];
\t4[label = "predict_maps_paper_2016", color = "0.4 0.6 0.85", style="rounded"];
\t5[label = "train\\nvariant: ", color = "0.5 0.6 0.85", style="rounded"];
\t6[label = "train\\nvariant: _paper", color = "0.5 0.6 0.85", style="rounded"];
\t1 -> 0
\t2 -> 1
\t3 -> 1
\t5 -> 2
\t5 -> 3
\t6 -> 4
\t5 -> 1
\t4 -> 0
\t5 -> 6
}
"""
RULES = {
    "model": 'rule train:\n    script:\n        "../scripts/train.py"\n',
    "maps": 'for year in YEARS:\n    rule:\n        script:\n "../scripts/predict_maps.py"\n'
    'rule: script: "../scripts/predict.py"\n',
    "report": 'rule plot_maps:\n    script:\n        "../scripts/plot_maps.py"\n',
}


def archive(folder) -> list[str]:
    for name, text in RULES.items():
        (folder / f"{name}.smk").write_text(text)
    return sorted(str(path) for path in folder.glob("*.smk"))


def test_jobs_of_a_loop_and_of_a_variant_are_one_rule_and_all_is_none(tmp_path):
    rooms = rooms_of(archive(tmp_path))
    assert rooms == {
        "train": "model", "predict_maps": "maps", "predict": "maps", "plot_maps": "report"
    }  # fmt: skip
    jobs, edges = graph_of(DOT, rooms)
    assert jobs == {"plot_maps": 1, "predict_maps": 3, "train": 2}
    # train of the baseline takes from train of the study: no arrow from a box to itself
    assert edges == {("predict_maps", "plot_maps"), ("train", "predict_maps"),
                     ("train", "plot_maps")}  # fmt: skip
    assert reduced(edges) == edges - {("train", "plot_maps")}


def test_a_print_without_known_rules_is_an_error(tmp_path):
    with pytest.raises(UserError, match=r"rules of 4 scripts.*found none in 'flowchart TD"):
        graph_of("flowchart TD\n id0[all]\n", rooms_of(archive(tmp_path)))


EDGES = st.sets(
    st.tuples(st.integers(0, 9), st.integers(0, 9)).filter(lambda pair: pair[0] < pair[1]),
    max_size=25,
).map(lambda pairs: {(f"r{a}", f"r{b}") for a, b in pairs})


def reachable(edges) -> set:
    """Return all pairs with a way from one to the other (Warshall)."""
    way = np.zeros((10, 10), bool)
    for a, b in edges:
        way[int(a[1:]), int(b[1:])] = True
    for k in range(10):
        way |= way[:, k : k + 1] & way[k : k + 1]
    return set(zip(*np.nonzero(way), strict=True))


@settings(max_examples=50, deadline=None)
@given(EDGES)
def test_the_drawn_edges_say_the_same_and_none_can_be_spared(edges):
    found = reduced(edges)
    assert found <= edges and reachable(found) == reachable(edges)
    for edge in found:
        assert reachable(found - {edge}) != reachable(edges)


@settings(max_examples=25, deadline=None)
@given(EDGES)
def test_lines_pass_every_lane_and_no_rule_stands_above_what_it_takes_from(edges):
    names = sorted({name for edge in edges for name in edge})
    room = {name: ROOMS[int(name[1:]) * len(ROOMS) // 10] for name in names}
    lane, steps = stepwise(edges, room)
    assert all(lane[b] - lane[a] in (0, 1) for a, b in steps)
    for a, b in edges:
        ends = {a}
        while b not in ends:
            ends = {y for x, y in steps if x in ends and (y == b or y[0] == a)}
            assert ends, "the steps lead from a to b over lines of a alone"
    y = arranged(lane, steps)
    assert set(y) == set(lane)
    for number in range(len(ROOMS)):
        own = sorted(y[node] for node in lane if lane[node] == number)
        assert all(np.diff(own) > 0) and all(0 < value < 1 for value in own)
    assert all(y[a] < y[b] for a, b in edges if room[a] == room[b])


def test_lines_that_pass_need_less_room_than_boxes():
    # 1 + 0.3 + 1: middles at 0.5, 1.15 and 1.8 of 2.3
    found = heights([["a", ("x", 1), "b"], []])
    expected = {"a": 0.5 / 2.3, ("x", 1): 0.5, "b": 1.8 / 2.3}
    assert found == pytest.approx(expected)


def test_lines_within_a_lane_are_drawn_where_fewer_others_are():
    lane = dict(a=0, b=1, c=1, d=2, e=2, f=2)
    steps = {("a", "b"), ("b", "c"), ("b", "d"), ("c", "e"), ("c", "f")}
    # lane 0 sends one, gets none: left; lane 1 gets one, sends three: left; lane 2 gets: right
    assert plot_flowchart.free_sides(lane, steps) == [-1, -1, 1, 1, 1, 1]


def fake(folder, text: str, code: int = 0) -> str:
    """Return a program that stands for Python and Snakemake: it notes how it was called."""
    path = folder / "python"
    path.write_text(
        f"#!{sys.executable}\nimport json, sys\n"
        "given = sys.argv[sys.argv.index('--configfile') + 1]\n"
        f"json.dump([sys.argv[1:], open(given).read()], open({str(folder / 'called')!r}, 'w'))\n"
        f"sys.stdout.write({text!r}) if not {code} else sys.stderr.write({text!r})\n"
        f"sys.exit({code})\n"
    )
    path.chmod(0o755)
    return str(path)


def run(folder, python) -> dict[str, str]:
    out = {end: str(folder / f"figure.{end}") for end in ("png", "pdf", "csv")}
    given = dict(rule_files=archive(folder), snakefile="a folder/Snakefile", python=python)
    plot_flowchart.main(**given, **out, config='{"title": "{x}"}', note="simulated data")
    return out


def test_main_asks_with_the_config_of_the_run_and_writes_rules_and_edges(tmp_path):
    out = run(tmp_path, fake(tmp_path, DOT))
    arguments, config = json.loads((tmp_path / "called").read_text())
    assert arguments[:4] == ["-m", "snakemake", "--snakefile", "a folder/Snakefile"]
    assert "--dag" in arguments and config == '{"title": "{x}"}'
    table = pd.read_csv(out["csv"]).fillna("")
    assert table.values.tolist() == [
        ["train", "model", 2, "", ""],
        ["predict_maps", "maps", 3, "train", "train"],
        ["plot_maps", "report", 1, "predict_maps train", "predict_maps"],
    ]
    first = [Path(out[end]).read_bytes() for end in ("png", "pdf", "csv")]
    done = DOT.replace(',dashed"', '"').replace('"rounded"', '"rounded,dashed"')
    run(tmp_path, fake(tmp_path, done))
    second = [Path(out[end]).read_bytes() for end in ("png", "pdf", "csv")]
    assert first == second, "what is done already does not show"


def test_every_box_has_its_name_and_jobs_and_lies_in_the_lane_of_its_room(tmp_path):
    rooms = rooms_of(archive(tmp_path))
    jobs, edges = graph_of(DOT, rooms)
    axes = plot_flowchart.figure_of(jobs, edges, {rule: rooms[rule] for rule in jobs}).axes[0]
    at = {text.get_text(): text.get_position() for text in axes.texts}
    assert {"2 jobs", "3 jobs", "1 job", *ROOMS, *jobs} <= set(at)
    for rule in jobs:
        assert at[rule][0] == pytest.approx(at[rooms[rule]][0])
    assert at["train"][1] > at["model"][1], "below the name of its room"


def test_what_snakemake_says_is_passed_on(tmp_path):
    with pytest.raises(UserError, match=r"Snakefile: expected the graph.*\n.*no such gauge"):
        run(tmp_path, fake(tmp_path, "no such gauge", 1))
    assert not os.path.exists(tmp_path / "figure.png")
