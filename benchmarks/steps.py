"""Each hot step beside the plain way: `python benchmarks/steps.py [STEP ...]`.

Both ways run in turns in one process, so that a busy machine slows both; the ratio of each turn
(plain / ours, CPU time) is printed as minimum, median and maximum, with the largest difference of
the two results and how near ours is to a bound that is measured on the spot. Trends have a program
of their own: benchmarks/trends.py.
"""

import argparse
import resource
import subprocess
import sys
import tempfile
import warnings
from collections.abc import Callable
from pathlib import Path
from time import monotonic, process_time

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "workflow" / "scripts"))

import _applicability
import _composite
import _forest
import _granule
import _hdfeos
import _kriging
import _quantiles
import _raster
import _stored
import predict_maps
import sample_smci
from _raster import Grid, write


def turns(plain: Callable, ours: Callable, count: int) -> tuple[np.ndarray, object, object]:
    """Return CPU seconds (turns, 2) of both ways in turns, and what each returned at last."""
    times, results = [], [None, None]
    for _ in range(count):
        row = []
        for number, work in enumerate((plain, ours)):
            began = process_time()
            results[number] = work()
            row.append(process_time() - began)
        times.append(row)
    return np.array(times), *results


def line(name: str, times: np.ndarray, said: str) -> None:
    """Print the ratios of a step."""
    low, middle, high = np.percentile(times[:, 0] / times[:, 1], [0, 50, 100])
    plain, ours = np.median(times, axis=0)
    print(
        f"{name}: ratio {low:.2f} / {middle:.2f} / {high:.2f} (plain {plain:.2f} s, ours "
        f"{ours:.2f} s); {said}",
        flush=True,
    )


def difference(a: np.ndarray, b: np.ndarray) -> str:
    return f"largest difference {np.nanmax(np.abs(a - b)):.1e}"


def rows_of(count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Return predictors (count, 13) and a target like soil moisture."""
    rng = np.random.default_rng(seed)
    rows = rng.normal(size=(count, 13)).astype("float32")
    signal = rows[:, 0] + np.sin(rows[:, 1]) + 0.5 * rows[:, 2] * rows[:, 3]
    return rows, 0.35 + 0.04 * signal + 0.03 * rng.normal(size=count)


def forest(count: int) -> None:
    """Mean and 90 % interval of every cell, beside the mean of scikit-learn alone."""
    x, y = rows_of(10_000, 1)
    options = dict(n_estimators=100, max_depth=None, max_features=0.333, min_samples_leaf=5)
    model = _forest.forest(options, seed=1).fit(x, y)
    leaves = _quantiles.leaf_values(model, x, y, seed=1)
    rows, _ = rows_of(100_000, 2)
    times, plain, (mean, _) = turns(
        lambda: _forest.predict(model, rows),
        lambda: _quantiles.spread(model, leaves, rows, [0.05, 0.95]),
        count,
    )
    depth = np.mean([tree.tree_.max_depth for tree in model.estimators_])
    speed = len(rows) / np.median(times[:, 1]) / 1000
    line("forest, mean against mean with interval", times, difference(plain, mean))
    print(f"  bound: {100 * depth:.0f} steps of trees at most a row; {speed:.0f} thousand rows/s")


def libraries(count: int) -> None:
    """A month's map from raster to raster, beside sklearn-raster's where it is installed."""
    try:
        from sklearn_raster import FeatureArrayEstimator
    except ImportError:
        print("libraries: sklearn-raster is not installed (pip install sklearn-raster)")
        return
    import rioxarray
    from rasterio.crs import CRS
    from rasterio.transform import Affine

    x, y = rows_of(10_000, 1)
    options = dict(n_estimators=100, max_depth=None, max_features=0.333, min_samples_leaf=5)
    model = _forest.forest(options, seed=1).fit(x, y)
    names = [f"p{number}" for number in range(x.shape[1])]
    cells = Grid(CRS.from_epsg(32647), Affine(250, 0, 0, 0, -250, 4e6), 400, 400)
    layers, _ = rows_of(160_000, 2)
    with tempfile.TemporaryDirectory() as folder:
        stack, trained, leaves = (f"{folder}/{name}" for name in ("x.tif", "forest", "leaves.npz"))
        bands = dict(zip(names, layers.T.reshape(-1, *cells.shape), strict=True))
        write(stack, cells, bands, dict.fromkeys(names, "1"))
        _stored.save(trained, model, names)
        _quantiles.save_leaves(leaves, _quantiles.leaf_values(model, x, y, seed=1))
        own, theirs = f"{folder}/own.tif", f"{folder}/theirs.tif"

        def ours(kept):
            predict_maps.main(
                forest=trained,
                leaves=kept,
                rasters=[stack],
                grid=None,
                maps=[own],
                months=["2010-05"],
                screen=False,
                min_lst=0,
                max_albedo=1,
                level=0.9,
                unit="m3 m-3",
                note="",
            )

        # sklearn-raster takes the metadata of its own fit, so the same forest is fitted anew.
        fitted = FeatureArrayEstimator(_forest.forest(options, seed=1)).fit(x, y)
        source = rioxarray.open_rasterio(stack, chunks={"y": 256, "x": 256})

        def plain():
            # It names the columns by band, and the forest was fitted without names.
            with warnings.catch_warnings(action="ignore", category=UserWarning):
                found = fitted.predict(source).astype("float32")
            found.rio.to_raster(theirs, tiled=True, compress="deflate")

        for what, kept in (("mean", None), ("mean with interval", leaves)):
            times, *_ = turns(plain, lambda kept=kept: ours(kept), count)
            same = difference(_raster.read(theirs), _raster.read(own))
            line(f"a map, {what}, against sklearn-raster's mean", times, same)
            speed = cells.width * cells.height / np.median(times[:, 1]) / 1000
            print(f"  {speed:.0f} thousand cells/s, reading and writing included")


def intervals(count: int) -> None:
    """Quantiles beside those of quantile-forest, one sample a leaf as it does by default."""
    from quantile_forest import RandomForestQuantileRegressor

    x, y = rows_of(10_000, 1)
    options = dict(n_estimators=100, max_features=0.333, min_samples_leaf=5)
    theirs = RandomForestQuantileRegressor(**options, random_state=1, n_jobs=1).fit(x, y)
    model = _forest.forest(options | {"max_depth": None}, seed=1).fit(x, y)
    leaves = _quantiles.leaf_values(model, x, y, seed=1)
    rows, _ = rows_of(50_000, 2)
    times, plain, (_, ours) = turns(
        lambda: theirs.predict(rows, quantiles=[0.05, 0.95]),
        lambda: _quantiles.spread(model, leaves, rows, [0.05, 0.95]),
        count,
    )
    apart = np.abs(plain - ours)
    line(
        "intervals against quantile-forest",
        times,
        f"median difference {np.median(apart):.4f} m3/m3 (one and four samples a leaf)",
    )


def applicability(count: int) -> None:
    """DI and LPD beside a k-d tree, and beside all distances as CAST takes them."""
    from scipy.spatial import cKDTree
    from scipy.spatial.distance import cdist

    rows, _ = rows_of(10_000, 1)
    points, _ = rows_of(20_000, 2)
    rows, points = rows.astype("float64"), points.astype("float64")
    dbar, limit = 5.0, 0.4

    def tree():
        built = cKDTree(rows)
        near = built.query(points)[0] / dbar
        return near, built.query_ball_point(points, limit * dbar, return_length=True)

    def every():
        found = [cdist(part, rows) / dbar for part in np.array_split(points, 40)]
        return (
            np.concatenate([d.min(axis=1) for d in found]),
            np.concatenate([(d < limit).sum(axis=1) for d in found]),
        )

    def ours():
        return _applicability.dissimilarity(points, rows, dbar, limit)

    for name, plain in (("a k-d tree", tree), ("all distances", every)):
        times, theirs, own = turns(plain, ours, count)
        same = f"{difference(theirs[0], own[0])}, LPD differ in {(theirs[1] != own[1]).sum()}"
        line(f"DI and LPD against {name}", times, same)
    left, right = (a.astype("float32") for a in (points[:2000], rows.T))
    began = process_time()
    for _ in range(10):
        left @ right
    bound = (process_time() - began) * len(points) / 2000 / 10
    print(f"  bound: the product of the matrices alone takes {bound:.2f} s CPU")


def composites(count: int) -> None:
    """A monthly mean of a tile: a running sum beside xarray's open, stack, mean."""
    import xarray as xr

    rng = np.random.default_rng(3)
    with tempfile.TemporaryDirectory() as folder:
        paths = []
        for number in range(8):
            smooth = np.kron(rng.integers(50, 400, (240, 240)), np.ones((10, 10)))
            stored = (smooth + rng.integers(0, 40, (2400, 2400))).astype("int16")
            quality = (rng.random((2400, 2400)) < 0.1).astype("uint8")
            name = f"{folder}/{number}.hdf"
            corners = _hdfeos.corners_of_tile("h26v05")
            layers = {
                "ET_500m": _hdfeos.Layer(stored, "ET", "mm", (-32767, 32700), 32767, 0.1),
                "ET_QC_500m": _hdfeos.Layer(quality, "QC", "none", (0, 254), 255),
            }
            _hdfeos.write_granule(name, "MOD_Grid_MOD16A2", corners, layers, {}, deflate=4)
            paths.append(name)
        cut = slice(0, 2400)

        def read(path):
            return _granule.stored(path, ("ET_500m", "ET_QC_500m"), cut, cut)

        def stacked():
            layers = []
            for path in paths:
                numbers, quality = read(path)
                layer = xr.DataArray(numbers.astype("float32"), dims=("y", "x"))
                layers.append(layer.where(quality == 0))
            return xr.concat(layers, "time").mean("time").values

        def running():
            month = _composite.Month(maximum=False)
            for path in paths:
                numbers, quality = read(path)
                month.add("tile", numbers, quality == 0, 1)
            return month.value("tile", np.arange(2400 * 2400)).reshape(2400, 2400)

        times, plain, ours = turns(stacked, running, count)
        line("composite of a tile against xarray", times, difference(plain, ours))
        began = process_time()
        for path in paths:
            read(path)
        print(f"  bound: reading and inflating alone takes {process_time() - began:.2f} s CPU")

        pixels = np.sort(rng.integers(0, 2400 * 2400, 9_300_000))

        def each():
            total, days = np.zeros(len(pixels), "float32"), np.zeros(len(pixels), "int16")
            for path in paths:
                numbers, quality = (layer.ravel()[pixels] for layer in read(path))
                np.add(total, numbers.astype("float32"), out=total, where=quality == 0)
                np.add(days, 1, out=days, where=quality == 0)
            return np.where(days > 0, total / np.maximum(days, 1), np.nan)

        def once():
            return running().ravel()[pixels]

        times, plain, ours = turns(each, once, count)
        line("resampled once against each composite", times, difference(plain, ours))


def kriging(count: int) -> None:
    """Sixty months on 100,000 cells: one system for all beside PyKrige month by month."""
    from pykrige.ok import OrdinaryKriging

    rng = np.random.default_rng(4)
    stations, points = rng.uniform(0, 6e5, (12, 2)), rng.uniform(0, 6e5, (100_000, 2))
    values = rng.gamma(4, 20, (12, 60))
    variogram = _kriging.Variogram("spherical", 50.0, 900.0, 3e5)
    given = {"psill": 900.0, "range": 3e5, "nugget": 50.0}

    def monthly():
        months = []
        for month in values.T:
            system = OrdinaryKriging(
                *stations.T, month, variogram_model="spherical", variogram_parameters=given
            )
            months.append(np.asarray(system.execute("points", *points.T)[0]))
        return np.stack(months, axis=1)

    def shared():
        weights = _kriging.dual(stations, values, variogram)
        return _kriging.estimate(points, stations, weights, variogram)

    times, plain, ours = turns(monthly, shared, count)
    line("kriging 60 months against PyKrige", times, difference(plain, ours))
    near = rng.random((100_000, 12))
    weights = rng.random((12, 60))
    began = process_time()
    near @ weights
    print(f"  bound: the product of the matrices alone takes {process_time() - began:.3f} s CPU")


def extraction(count: int) -> None:
    """Means of the 250 m cells in SMCI cells, beside rasterstats cell by cell where installed."""
    try:
        from rasterstats import zonal_stats
    except ImportError:
        print("extraction: rasterstats is not installed (pip install rasterstats)")
        return
    from rasterio.crs import CRS
    from rasterio.transform import Affine

    rng = np.random.default_rng(5)
    cells = Grid(CRS.from_epsg(4326), Affine(1 / 480, 0, 100, 0, -1 / 480, 35), 1200, 1200)
    smci = Grid(CRS.from_epsg(4326), Affine(1 / 120, 0, 100, 0, -1 / 120, 35), 300, 300)
    layer = rng.random(cells.shape)
    chosen = np.sort(rng.choice(300 * 300, 1500, replace=False))
    with tempfile.TemporaryDirectory() as folder:
        path = f"{folder}/layer.tif"
        write(path, cells, {"x": layer}, {"x": "1"})
        lon, lat = cells.centres()
        strips = []
        for window in cells.blocks():
            number = sample_smci.owner(lon[window.toslices()], lat[window.toslices()], smci)
            strips.append((window, np.arange(number.size), number.ravel()))
        members = sample_smci.Members(strips, 300 * 300)
        west, south = sample_smci.place(chosen, smci, 0, 1)
        boxes = [
            {
                "type": "Polygon",
                "coordinates": [
                    [(w, s), (w, s + 1 / 120), (w + 1 / 120, s + 1 / 120), (w + 1 / 120, s), (w, s)]
                ],
            }
            for w, s in zip(west, south, strict=True)
        ]
        times, plain, ours = turns(
            lambda: np.array([found["mean"] for found in zonal_stats(boxes, path, stats="mean")]),
            lambda: members.of(chosen).mean(path, "x", "direction"),
            count,
        )
    line("1500 SMCI cells against rasterstats", times, difference(plain, ours))


def rasters(count: int) -> None:
    """A map written and read once more, beside writing alone; the bound is deflate's in memory."""
    import rasterio
    from rasterio.crs import CRS
    from rasterio.transform import Affine

    rng = np.random.default_rng(6)
    cells = Grid(CRS.from_epsg(32647), Affine(250, 0, 0, 0, -250, 4e6), 3000, 3000)
    rough = np.kron(rng.random((300, 300)), np.ones((10, 10)))
    layer = (rough + 0.01 * rng.random(cells.shape)).astype("float32")
    proven = _raster.proven
    with tempfile.TemporaryDirectory() as folder:

        def work(check):
            _raster.proven = proven if check else _raster.whole
            write(f"{folder}/a.tif", cells, {"x": layer}, {"x": "1"})
            _raster.proven = proven

        times, *_ = turns(lambda: work(False), lambda: work(True), count)
        with rasterio.open(f"{folder}/a.tif") as made:
            profile = made.profile | dict(predictor=3, zlevel=4)
    line("a raster written, against written and read once", times, "same bytes")
    began = process_time()
    with rasterio.MemoryFile() as memory, memory.open(**profile) as target:
        target.write(layer, 1)
    print(f"  bound: deflate in memory takes {process_time() - began:.2f} s CPU for these cells")


def demo(count: int) -> None:
    """The whole demo with one core and with two, wall and CPU time."""
    for cores in (1, 2):
        with tempfile.TemporaryDirectory() as folder:
            before, began = resource.getrusage(resource.RUSAGE_CHILDREN), monotonic()
            command = [sys.executable, "-m", "snakemake", "-s", str(ROOT / "Snakefile"), "-d"]
            command += [folder, "--cores", str(cores), "--quiet"]
            subprocess.run(command, check=True)
            after = resource.getrusage(resource.RUSAGE_CHILDREN)
            cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
            print(f"demo, {cores} cores: {monotonic() - began:.0f} s wall, {cpu:.0f} s CPU")


STEPS = {
    work.__name__: work
    for work in (
        forest,
        libraries,
        intervals,
        applicability,
        composites,
        kriging,
        extraction,
        rasters,
        demo,
    )
}

if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("steps", nargs="*", default=[name for name in STEPS if name != "demo"])
    parser.add_argument("--turns", type=int, default=5)
    asked = parser.parse_args()
    for step in asked.steps:
        if step not in STEPS:
            parser.error(f"unknown step {step}; there are {', '.join(STEPS)}")
        STEPS[step](asked.turns)
