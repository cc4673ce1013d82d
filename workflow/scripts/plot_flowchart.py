"""Draw the rules of this run, their jobs and what each takes from which (F2).

Snakemake is asked for the graph of its jobs under the run's own config. That graph is of all that
the run needs, whatever is done already, so the figure can be made first, last or alone.
"""

import re
import subprocess
from collections import Counter
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pandas as pd
from cmcrameri import cm
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch, Rectangle
from matplotlib.path import Path as Curve

from _figures import INK, canvas, save
from _log import UserError, log, log_to
from _table import write_table

ROOMS = ("raw", "interim", "features", "model", "maps", "report")
SIZE = (10.9, 7.5)  # inches: A4 on its side, within margins
BOX = (1.24, 0.25)
HEAD = 0.42  # inches above the boxes, for the names of the rooms
PASSING = 0.3  # room of a line that passes a lane, as a share of that of a box
SWEEPS = 12
COLOURS = dict(zip(ROOMS, cm.batlow(np.linspace(0, 0.72, len(ROOMS))), strict=True))
NODE = re.compile(r'^\s*(\d+)\[label = "([^"\\]+)', re.M)
EDGE = re.compile(r"^\s*(\d+) -> (\d+)\s*$", re.M)


def asked(python: str, snakefile: str, config: str) -> str:
    """Return the graph of all jobs of the run as Snakemake prints it (DOT).

    `config` is what the run was given, as JSON. Nothing runs and nothing is locked.
    """
    with TemporaryDirectory() as folder:
        given = Path(folder) / "config.json"
        given.write_text(config, encoding="utf-8")
        command = [python, "-m", "snakemake", "--snakefile", snakefile, "--dag"]
        command += ["--configfile", str(given), "--replace-workflow-config"]
        command += ["--profile", "none", "--workflow-profile", "none", "--nocolor"]
        ended = subprocess.run(command, capture_output=True, text=True, check=False)
    if ended.returncode:
        raise UserError(
            f"{snakefile}: expected the graph of its jobs from `snakemake --dag`, found:\n"
            f"{ended.stderr.strip()[-1500:]}\nMend what it names and run again."
        )
    return ended.stdout


def rooms_of(rule_files: list[str]) -> dict[str, str]:
    """Return {script: room}: the file in which a rule stands is its room."""
    return {
        script: Path(path).stem
        for path in rule_files
        for script in re.findall(r"scripts/(\w+)\.py\"", Path(path).read_text(encoding="utf-8"))
    }


def graph_of(dot: str, rooms: dict[str, str]) -> tuple[dict[str, int], set[tuple[str, str]]]:
    """Return {rule: jobs} and the pairs (rule, rule that takes something from it).

    Rules made in a loop have the name of their script and of what they make: they count as one.
    Rules without a script (`all`) do no work and are left out.
    """

    def merged(name: str) -> str | None:
        fits = [script for script in rooms if name == script or name.startswith(f"{script}_")]
        return max(fits, key=len, default=None)

    rule = {node: merged(name) for node, name in NODE.findall(dot)}
    jobs = Counter(name for name in rule.values() if name)
    if not jobs:
        raise UserError(
            f"expected jobs of the rules of {len(rooms)} scripts in the graph that Snakemake "
            f"prints, found none in {dot[:200]!r}. Is this a version that prints it otherwise?"
        )
    pairs = {(rule[a], rule[b]) for a, b in EDGE.findall(dot)}
    return dict(sorted(jobs.items())), {(a, b) for a, b in pairs if a and b and a != b}


def reduced(edges: set[tuple[str, str]]) -> set[tuple[str, str]]:
    """Return the edges that no longer way implies: the transitive reduction, without cycles."""
    after = {a: {y for x, y in edges if x == a} for a, _ in edges}

    def reached(start: str) -> set[str]:
        found, new = set(), after.get(start, set())
        while new:
            found |= new
            new = {y for x in new for y in after.get(x, ())} - found
        return found

    beyond = {node: reached(node) for edge in edges for node in edge}
    return {(a, b) for a, b in edges if not any(b in beyond[x] for x in after[a] - {b})}


def stepwise(edges, room: dict[str, str]) -> tuple[dict, set]:
    """Return {node: lane} and edges between neighbouring lanes, or within one.

    An edge that passes lanes gets a node (rule, lane) in each; edges of one rule share them.
    """
    lane = {name: ROOMS.index(place) for name, place in room.items()}
    steps = set()
    for a, b in sorted(edges):
        last = a
        for between in range(lane[a] + 1, lane[b]):
            lane[a, between] = between
            steps.add((last, (a, between)))
            last = (a, between)
        steps.add((last, b))
    return lane, steps


def sorted_lane(nodes: list, wish: dict, within: set) -> list:
    """Return the nodes of a lane, the lowest wish first, none before one that it takes from."""
    waiting, placed = sorted(nodes, key=lambda node: (wish[node], str(node))), []
    while waiting:
        blocked = {b for a, b in within if a in waiting}
        first = next(node for node in waiting if node not in blocked)
        waiting.remove(first)
        placed.append(first)
    return placed


def space(node) -> float:
    """Return the height that a node takes up in its lane, in boxes."""
    return 1.0 if isinstance(node, str) else PASSING


def heights(order: list[list]) -> dict:
    """Return {node: height}, 0 to 1 from the top; lanes with few boxes are spread out."""
    found = {}
    for nodes in order:
        total = filled = sum(space(node) for node in nodes)
        for node in reversed(nodes):
            found[node] = (filled - space(node) / 2) / total
            filled -= space(node)
    return found


def arranged(lane: dict, steps: set) -> dict:
    """Return {node: height} with short edges: each node near its neighbours (Sugiyama 1981).

    10.1109/TSMC.1981.4308636; the sweeps go to the right and back, the best is kept.
    """
    within = {(a, b) for a, b in steps if lane[a] == lane[b]}
    near = {node: [a for a, b in steps if b == node] for node in lane}
    ahead = {node: [b for a, b in steps if a == node] for node in lane}
    lanes = [sorted((n for n in lane if lane[n] == k), key=str) for k in range(len(ROOMS))]
    order = [sorted_lane(nodes, dict.fromkeys(nodes, 0), within) for nodes in lanes]
    best, least = heights(order), np.inf
    for sweep in range(SWEEPS):
        for number in range(len(ROOMS)) if sweep % 2 == 0 else reversed(range(len(ROOMS))):
            y, wish = heights(order), {}
            for node in order[number]:
                sides = near[node] if sweep % 2 == 0 else ahead[node]
                beside = sides or near[node] + ahead[node] or [node]
                wish[node] = sum(y[n] for n in beside) / len(beside)
            order[number] = sorted_lane(order[number], wish, within)
        y = heights(order)
        length = sum(abs(y[a] - y[b]) for a, b in steps)
        if length < least - 1e-9:
            best, least = y, length
    return best


def free_sides(lane: dict, steps: set) -> list[int]:
    """Return -1 or 1 for each lane: the side with fewer lines to other lanes, for its own."""
    found = []
    for number in range(len(ROOMS)):
        come = sum(lane[a] < number == lane[b] for a, b in steps)
        leave = sum(lane[a] == number < lane[b] for a, b in steps)
        found.append(-1 if come < leave else 1)
    return found


def curve(axes, start, end, bend: float, head: bool, colour) -> None:
    """Draw a line between two points that leaves and arrives level, or bends out to a side."""
    (x0, y0), (x1, y1) = start, end
    middle = (x0 + x1) / 2
    level = [(middle, y0), (middle, y1)]
    path = [start, *([(x0 + bend, y0), (x1 + bend, y1)] if bend else level), end]
    line = Curve(path, [Curve.MOVETO, Curve.CURVE4, Curve.CURVE4, Curve.CURVE4])
    style = "-|>,head_length=2.6,head_width=1.2" if head else "-"
    patch = dict(arrowstyle=style, color=colour, lw=0.7, alpha=0.85, zorder=2, shrinkA=0, shrinkB=0)
    axes.add_patch(FancyArrowPatch(path=line, **patch))


def figure_of(jobs: dict[str, int], edges: set, room: dict[str, str]):
    """Return the figure: a lane for each room, a box for each rule, the reduced edges."""
    lane, steps = stepwise(reduced(edges), room)
    width, height = SIZE
    fullest = max(sum(space(n) for n in lane if lane[n] == k) for k in lane.values())
    tall = min(BOX[1], 0.85 * (height - HEAD) / fullest)
    figure = canvas(height=height, width=width)
    axes = figure.subplots()
    axes.set(xlim=(0, width), ylim=(height, 0))
    axes.set_axis_off()
    pitch = width / len(ROOMS)
    x = {node: (number + 0.42) * pitch for node, number in lane.items()}
    y = {n: HEAD + level * (height - HEAD) for n, level in arranged(lane, steps).items()}
    for number, name in enumerate(ROOMS):
        colour, rules = COLOURS[name], [rule for rule in jobs if room[rule] == name]
        left = (number + 0.42) * pitch - BOX[0] / 2 - 0.06
        axes.add_patch(
            Rectangle((left, 0), BOX[0] + 0.12, height, color=colour, alpha=0.1, lw=0, zorder=0)
        )
        style = dict(ha="center", va="center", zorder=3)
        axes.text(
            (number + 0.42) * pitch, 0.13, name, color=colour, size=10, weight="bold", **style
        )
        count = f"{len(rules)} rules, {sum(jobs[rule] for rule in rules):,} jobs"
        axes.text((number + 0.42) * pitch, 0.31, count, size=6.5, **style)
    side = free_sides(lane, steps)
    for a, b in sorted(steps, key=str):
        source = a if isinstance(a, str) else a[0]
        colour, same = COLOURS[room[source]], lane[a] == lane[b]
        half = [BOX[0] / 2 + (0.06 if not isinstance(node, str) else 0) for node in (a, b)]
        out = side[lane[a]] if same else 1
        start = (x[a] + out * half[0], y[a])
        end = (x[b] + out * half[1] if same else x[b] - half[1], y[b])
        bend = out * min(0.5, 0.12 + 0.09 * abs(y[a] - y[b])) if same else 0.0
        curve(axes, start, end, bend, isinstance(b, str), colour)
    for node in lane:
        colour = COLOURS[room[node if isinstance(node, str) else node[0]]]
        if not isinstance(node, str):
            half = BOX[0] / 2 + 0.06
            ends = [x[node] - half, x[node] + half]
            axes.plot(ends, [y[node]] * 2, color=colour, lw=0.7, alpha=0.85, zorder=2)
            continue
        corner = (x[node] - BOX[0] / 2, y[node] - tall / 2)
        shape = dict(boxstyle="round,pad=0,rounding_size=0.04", fc="white", ec=colour, lw=0.9)
        axes.add_patch(FancyBboxPatch(corner, BOX[0], tall, zorder=4, **shape))
        words = f"{jobs[node]:,} job{'s' if jobs[node] > 1 else ''}"
        style = dict(ha="center", va="center", zorder=5)
        axes.text(x[node], y[node] - 0.18 * tall, node, size=6.6, color=INK, **style)
        axes.text(x[node], y[node] + 0.26 * tall, words, size=5.4, color="0.35", **style)
    return figure


def main(rule_files, snakefile, python, png, pdf, csv, config, note):
    rooms = rooms_of(rule_files)
    jobs, edges = graph_of(asked(python, snakefile, config), rooms)
    kept = reduced(edges)
    rows = [
        dict(
            rule=rule,
            room=rooms[rule],
            jobs=count,
            takes_from=" ".join(sorted(a for a, b in edges if b == rule)),
            arrows_from=" ".join(sorted(a for a, b in kept if b == rule)),
        )
        for rule, count in sorted(jobs.items(), key=lambda item: ROOMS.index(rooms[item[0]]))
    ]
    save(figure_of(jobs, edges, {rule: rooms[rule] for rule in jobs}), png, pdf, note)
    write_table(pd.DataFrame(rows), csv)
    text = "%d rules, %d jobs; %d of %d edges drawn, the others follow from them"
    log.info(text, len(jobs), sum(jobs.values()), len(kept), len(edges))


if __name__ == "__main__":
    log_to(snakemake.log[0])
    main(
        rule_files=snakemake.input.rules,
        snakefile=snakemake.input.snakefile,
        python=snakemake.resources.python,
        png=snakemake.output.png,
        pdf=snakemake.output.pdf,
        csv=snakemake.output.csv,
        config=snakemake.params.config,
        note=snakemake.params.note,
    )
