"""kNNDM against its authors' package, against a slow second way, and by its laws."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.cluster.hierarchy import cut_tree, linkage

import _folds
from conftest import SHARED


def field(seed, clusters=12, size=5, spread=1.0, area=100.0):
    """Return clustered places and a lattice of points to predict."""
    rng = np.random.default_rng(seed)
    centres = rng.random((clusters, 2)) * area
    places = np.repeat(centres, size, axis=0) + rng.normal(size=(clusters * size, 2)) * spread
    line = (np.arange(15) + 0.5) * area / 15
    return places, np.stack(np.meshgrid(line, line), axis=-1).reshape(-1, 2)


def together(folds):
    """Return which places share a fold: the partition, whatever the folds are called."""
    return np.asarray(folds)[:, None] == np.asarray(folds)


def area_between(first, second):
    """Return the integral of the difference of two empirical distribution functions."""
    at = np.sort(np.concatenate([first, second]))
    share = [np.array([(values <= r).mean() for r in at[:-1]]) for values in (first, second)]
    return (np.abs(share[0] - share[1]) * np.diff(at)).sum()


def slowly(places, points, k):
    """Return (folds, W, clusters) by steps 3 to 5 of the paper with whole distance matrices."""
    n = len(places)
    apart = np.linalg.norm(places[:, None] - places, axis=-1)
    wanted = np.linalg.norm(points[:, None] - places, axis=-1).min(axis=1)
    loading = np.linalg.svd(places - places.mean(axis=0))[2][0]
    loading = loading if loading[0] > 0 else -loading
    tree, found = linkage(places, "ward"), (None, np.inf, 0)
    for q in sorted({round(v) for v in np.exp(np.linspace(np.log(k), np.log(n - 2), 100))}):
        clusters = cut_tree(tree, n_clusters=q)[:, 0]
        members = [np.flatnonzero(clusters == c) for c in range(q)]
        members.sort(key=lambda m: (places[m].mean(axis=0) - places.mean(axis=0)) @ loading)
        folds, large, small = np.full(n, -1), [m for m in members if len(m) >= n / k], []
        for number, m in enumerate(large):
            folds[m] = number
        small = [m for m in members if len(m) < n / k]
        for turn, m in enumerate(small):
            folds[m] = len(large) + turn % (k - len(large))
        if max(np.bincount(folds)) > n / 2:
            continue
        across = np.where(together(folds), np.inf, apart).min(axis=1)
        w = area_between(across, wanted)
        if w < found[1]:
            found = (folds, w, q)
    return found


@pytest.mark.parametrize(
    ("k", "w", "clusters", "mean", "sizes"),
    [
        (5, 2.64101577124, 7, 18.2241620965, [17, 22, 17, 15, 9]),
        (10, 8.97197666019, 10, 7.03421134595, [13, 9, 9, 11, 11, 7, 6, 4, 6, 4]),
    ],
)
def test_folds_are_those_of_the_reference_implementation(k, w, clusters, mean, sizes):
    """CAST 1.1.0 under R 4.2 on 80 clustered places and 400 points."""
    folder = SHARED.parent / "reference"
    if not (folder / f"knndm_k{k}.csv").exists():
        pytest.skip(f"reference results are not here: {folder}")
    places, points = (pd.read_csv(folder / f"{name}.csv").to_numpy() for name in "tp")
    expected = pd.read_csv(folder / f"knndm_k{k}.csv")["f"].to_numpy()
    found = _folds.knndm(places, points, k, np.arange(80) % k)
    assert found.w == pytest.approx(w, rel=1e-11)
    assert (found.clusters, found.reason[: len(f"{clusters} c")]) == (clusters, f"{clusters} c")
    np.testing.assert_array_equal(together(found.folds), together(expected))
    assert sorted(np.bincount(found.folds)) == sorted(sizes)
    assert _folds.distances_across(places, found.folds).mean() == pytest.approx(mean, rel=1e-11)
    assert _folds.distances_among(places).mean() == pytest.approx(2.013838705, rel=1e-9)
    assert _folds.distances_to(points, places).mean() == pytest.approx(15.727546616, rel=1e-10)


@pytest.mark.parametrize(("seed", "k"), [(0, 3), (1, 5), (2, 10), (3, 4)])
def test_folds_are_those_of_the_slow_second_way(seed, k):
    places, points = field(seed)
    found = _folds.knndm(places, points, k, np.arange(len(places)) % k)
    folds, w, clusters = slowly(places, points, k)
    np.testing.assert_array_equal(together(found.folds), together(folds))
    assert (found.clusters, found.w) == (clusters, pytest.approx(w, rel=1e-12))


def test_distances_on_a_line():
    places = np.array([[0.0, 0], [1, 0], [3, 0], [10, 0]])
    assert _folds.distances_to(np.array([[4.0, 0], [-2, 0]]), places).tolist() == [1, 2]
    assert _folds.distances_among(places).tolist() == [1, 1, 2, 7]
    assert _folds.distances_across(places, np.array([0, 0, 1, 1])).tolist() == [3, 2, 2, 9]


coordinates = st.lists(
    st.tuples(st.integers(0, 9), st.integers(0, 9)), min_size=4, max_size=40
).map(lambda pairs: np.array(pairs, float))


@given(coordinates, st.integers(2, 4))
def test_distances_are_those_of_the_whole_matrix(places, k):
    folds = np.arange(len(places)) % k
    apart = np.linalg.norm(places[:, None] - places, axis=-1)
    np.testing.assert_allclose(
        _folds.distances_across(places, folds),
        np.where(together(folds), np.inf, apart).min(axis=1),
    )
    np.fill_diagonal(apart, np.inf)
    np.testing.assert_allclose(_folds.distances_among(places), apart.min(axis=1))


@given(coordinates)
def test_a_tree_is_cut_into_just_the_number_asked_for_even_where_places_coincide(places):
    merges = linkage(places, "ward")
    finer = np.arange(len(places))
    for clusters in range(len(places), 0, -1):
        found = _folds.cut(merges, clusters)
        first = np.unique(found, return_index=True)
        assert first[0].tolist() == list(range(clusters)), "numbered without a gap"
        assert (np.diff(first[1]) > 0).all(), "in the order of the first place"
        assert (together(found) >= together(finer)).all(), "clusters only grow together"
        finer = found


def test_large_clusters_are_folds_and_the_others_are_dealt_out_along_the_axis():
    # Twelve places, k = 3: an equal share is 4. From west to east: C, A (just large), D, B, E.
    clusters = np.array([0] * 4 + [1] * 2 + [2] * 3 + [3] + [4] * 2)
    along = np.array([2.0] * 4 + [6] * 2 + [1] * 3 + [5] + [9] * 2)
    found = _folds.dealt(clusters, along, 3)
    assert found.tolist() == [0] * 4 + [1] * 2 + [1] * 3 + [2] + [2] * 2


def test_main_axis_runs_east_or_else_north():
    line = np.array([[0.0, 0], [2, -1], [4, -2]])
    np.testing.assert_allclose(np.diff(_folds.along_main_axis(line)), np.sqrt(5))
    np.testing.assert_allclose(_folds.along_main_axis(line[:, ::-1] * [0, 1]), [-2, 0, 2])


def test_plain_folds_stay_where_places_are_spread_over_the_area():
    _, points = field(0)
    places = points.reshape(15, 15, 2)[1::3, 1::3].reshape(-1, 2)
    plain = np.arange(25) % 4
    found = _folds.knndm(places, points, 4, plain)
    assert found.folds is plain and found.clusters == 0 and found.p >= 0.05
    assert found.w == found.w_plain
    expected = _folds.distances_across(places, plain), _folds.distances_to(points, places)
    assert found.w == pytest.approx(area_between(*expected))
    assert found.reason.startswith("places are no nearer to each other than the area is to them")


def test_clusters_stay_even_where_plain_folds_are_nearer_to_the_map():
    """The rule of CAST: the test decides, W only chooses among clusters; both are told."""
    pairs = np.array([[x, y] for x in (10.0, 50, 90) for y in (10.0, 50, 90)])
    places = np.concatenate([pairs, pairs + [0.1, 0]])
    points = np.concatenate([pairs + 12.0, pairs + 13.0])
    plain = np.tile(np.repeat([0, 1, 2], 3), 2)
    plain[9:] = np.roll(plain[9:], 1)
    found = _folds.knndm(places, points, 3, plain, maxp=0.5)
    assert found.clusters and found.p < 0.05
    assert found.w_plain < found.w


@settings(max_examples=60)
@given(coordinates, st.integers(2, 6), st.integers(0, 9))
def test_every_fold_holds_a_place_and_none_too_many(places, k, seed):
    k = min(k, len(places))
    plain = np.random.default_rng(seed).permutation(np.arange(len(places)) % k)
    points = np.random.default_rng(seed).random((50, 2)) * 40
    found = _folds.knndm(places, points, k, plain)
    sizes = np.bincount(found.folds, minlength=k)
    assert len(sizes) == k and sizes.min() >= 1
    assert sizes.max() <= max(len(places) / 2, np.ceil(len(places) / k))


def test_order_of_the_places_does_not_matter():
    places, points = field(3)
    order = np.random.default_rng(0).permutation(len(places))
    plain = np.arange(len(places)) % 5
    first = _folds.knndm(places, points, 5, plain)
    second = _folds.knndm(places[order], points, 5, plain[order])
    np.testing.assert_array_equal(
        together(first.folds)[np.ix_(order, order)], together(second.folds)
    )


@pytest.mark.parametrize(("n", "k"), [(2, 2), (3, 3), (4, 4), (6, 6)])
def test_as_many_folds_as_places_leave_each_out_alone(n, k):
    places, points = field(1, clusters=n, size=1)
    found = _folds.knndm(places / 1000, points, k, np.arange(n))
    assert sorted(found.folds) == list(range(n))


def test_plain_folds_stay_where_no_clusters_make_two_halves():
    """Three places and a far one: the only cut that is tried puts three of four in one fold."""
    places = np.array([[0.0, 0], [1, 0], [0, 1], [50, 50]])
    plain = np.array([0, 1, 0, 1])
    found = _folds.knndm(places, field(0)[1] + 100, 2, plain)
    assert found.folds is plain and found.clusters == 0 and found.p < 0.05
    assert found.reason == "places are clustered, but no clusters make folds of at most 2 places"


def test_places_at_one_point_keep_the_plain_folds():
    plain = np.arange(6) % 3
    found = _folds.knndm(np.ones((6, 2)), field(0)[1], 3, plain)
    assert found.folds is plain and found.reason == "all places lie at one point"
    assert found.w == pytest.approx(_folds.distances_to(field(0)[1], np.ones((1, 2))).mean())
