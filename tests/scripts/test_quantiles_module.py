import numpy as np
import pytest
import quantile_forest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.ensemble import RandomForestRegressor

from _forest import predict
from _log import UserError
from _quantiles import Leaves, leaf_values, load_leaves, moved, save_leaves, spread

LEVELS = [0.05, 0.5, 0.95]


def world(n=300, seed=0):
    """The spread of the target grows with the first predictor."""
    rng = np.random.default_rng(seed)
    x = rng.uniform(size=(n, 3)).astype("float32")
    return x, 0.2 + 0.1 * x[:, 1] + 0.2 * x[:, 0] * rng.normal(size=n)


def fitted(x, y, trees=40, leaf=5, weight=None):
    model = RandomForestRegressor(trees, min_samples_leaf=leaf, max_features=0.6, random_state=2)
    return model.fit(x, y, sample_weight=weight)


def in_bag(model, x, y):
    """Yield for each tree {leaf: its in-bag targets, repeated as they were drawn}."""
    for tree, drawn in zip(model.estimators_, model.estimators_samples_, strict=True):
        leaf = tree.apply(x)[drawn]
        yield {node: np.sort(y[drawn][leaf == node]) for node in np.unique(leaf)}


def meinshausen(model, x, y, rows, levels):
    """The definition, all samples of each leaf: the first y with that share of the weights."""
    weight = np.zeros((len(rows), len(y)))
    for tree, drawn in zip(model.estimators_, model.estimators_samples_, strict=True):
        count = np.bincount(drawn, minlength=len(y))
        shared = tree.apply(rows)[:, None] == tree.apply(x)[None, :]
        weight += shared * count / (shared * count).sum(axis=1, keepdims=True)
    order = np.argsort(y)
    share = np.cumsum(weight[:, order], axis=1) / len(model.estimators_)
    first = [(share >= level - 1e-12).argmax(axis=1) for level in levels]
    return y[order][np.stack(first, axis=1)]


def pinball(y, bound, level):
    return np.maximum(level * (y - bound), (level - 1) * (y - bound)).mean()


def test_the_mean_is_the_forests_to_the_last_bit_with_any_block():
    x, y = world()
    model, rows = fitted(x, y), world(257, 1)[0]
    leaves = leaf_values(model, x, y, 1)
    expected = predict(model, rows)
    whole = spread(model, leaves, rows, LEVELS)
    for block in (1, 1000, 40 * 4 * 100):
        mean, bounds = spread(model, leaves, rows, LEVELS, block)
        np.testing.assert_array_equal(mean, expected)
        np.testing.assert_array_equal(bounds, whole[1])


def test_no_rows_give_no_values():
    x, y = world(50)
    model = fitted(x, y, 3)
    mean, bounds = spread(model, leaf_values(model, x, y, 1), x[:0], LEVELS)
    assert mean.shape == (0,) and bounds.shape == (0, 3)


def test_quantiles_by_hand():
    """Two trees of one split each, two values a leaf: the quantiles of four numbers."""
    x, y = np.array([[0.0], [1.0]], "float32"), np.array([0.0, 1.0])
    model = RandomForestRegressor(2, bootstrap=False, random_state=1).fit(x, y)
    left, right = (int(model.estimators_[0].tree_.apply(x)[row]) for row in (0, 1))
    ranks = np.full((6, 2), -1, "int32")
    ranks[left], ranks[right] = (1, 3), (4, 4)
    ranks[3 + left], ranks[3 + right] = (0, 2), (0, 4)
    leaves = Leaves(np.array([0.1, 0.2, 0.3, 0.4, 0.8]), ranks, np.array([0, 3, 6]))
    mean, bounds = spread(model, leaves, x, [0, 0.5, 0.9, 1])
    np.testing.assert_array_equal(mean, [0, 1])
    np.testing.assert_allclose(bounds[0], [0.1, 0.25, 0.37, 0.4], rtol=1e-12)
    np.testing.assert_allclose(bounds[1], [0.1, 0.8, 0.8, 0.8], rtol=1e-12)


@pytest.mark.parametrize("weighted", [False, True])
def test_values_are_in_bag_samples_one_of_each_quarter_of_the_leaf(weighted):
    """And a tree's own value is the mean of those samples: what is meant by in-bag is shared."""
    x, y = world()
    weight = np.where(np.arange(len(y)) < 60, 2.5, 0.625) if weighted else None
    model = fitted(x, y, 10, 12, weight)
    leaves = leaf_values(model, x, y, 1)
    for number, found in enumerate(in_bag(model, x, y)):
        nodes = model.estimators_[number].tree_
        ranks = leaves.ranks[leaves.first[number] : leaves.first[number + 1]]
        assert len(ranks) == nodes.node_count
        assert (ranks[nodes.children_left >= 0] == -1).all()
        assert set(found) == set(np.flatnonzero(nodes.children_left < 0))
        for node, values in found.items():
            assert nodes.value[node, 0, 0] == pytest.approx(values.mean(), rel=1e-9)
            edges = np.arange(5) / 4 * len(values)
            for part, value in enumerate(leaves.values[ranks[node]]):
                low, high = int(edges[part]), int(np.ceil(edges[part + 1])) - 1
                assert value in values[low : high + 1]


def test_every_sample_of_a_leaf_has_its_share_of_the_draws():
    x, y = np.zeros((5, 1), "float32"), np.array([0.1, 0.2, 0.3, 0.4, 0.5])
    model = RandomForestRegressor(1, bootstrap=False).fit(x, y)
    drawn = [leaf_values(model, x, y, seed).ranks[0] for seed in range(2000)]
    share = np.bincount(np.ravel(drawn), minlength=5) / 8000
    np.testing.assert_allclose(share, 0.2, atol=0.02)


def test_the_seed_decides():
    x, y = world()
    model = fitted(x, y, 5)
    one, same, other = (leaf_values(model, x, y, seed).ranks for seed in (1, 1, 2))
    np.testing.assert_array_equal(one, same)
    assert (one != other).any()


@pytest.mark.parametrize("leaf", [1, 5, 20])
def test_four_values_a_leaf_stand_for_all_of_them(leaf):
    """Bounds as sharp as those of the definition (pinball loss), and nowhere far from them."""
    x, y = world(800)
    model = fitted(x, y, 100, leaf)
    rows, truth = world(400, 1)
    _, bounds = spread(model, leaf_values(model, x, y, 1), rows, [0.05, 0.95])
    exact = meinshausen(model, x, y, rows, [0.05, 0.95])
    width = (exact[:, 1] - exact[:, 0]).mean()
    assert np.sqrt(((bounds - exact) ** 2).mean()) < 0.06 * width
    for number, level in enumerate((0.05, 0.95)):
        loss, best = (pinball(truth, q[:, number], level) for q in (bounds, exact))
        assert loss < 1.03 * best


def test_the_bounds_follow_the_spread_of_the_target():
    x, y = world(3000)
    model = fitted(x, y, 100, 20)
    rows = np.array([[0.1, 0.5, 0.5], [0.9, 0.5, 0.5]], "float32")
    _, bounds = spread(model, leaf_values(model, x, y, 1), rows, [0.05, 0.95])
    narrow, wide = bounds[:, 1] - bounds[:, 0]
    assert wide == pytest.approx(2 * 1.645 * 0.2 * 0.9, rel=0.2)  # of the normal distribution
    assert wide > 3 * narrow


def test_equal_to_quantile_forest_where_a_leaf_holds_one_sample():
    x, y = world()
    options = dict(max_features=0.6, random_state=2)
    theirs = quantile_forest.RandomForestQuantileRegressor(40, **options).fit(x, y)
    model = RandomForestRegressor(40, **options).fit(x, y)
    rows = world(100, 1)[0]
    _, bounds = spread(model, leaf_values(model, x, y, 1, per_leaf=1), rows, LEVELS)
    np.testing.assert_allclose(bounds, theirs.predict(rows, LEVELS), rtol=1e-12)


def test_equal_to_quantile_forest_with_the_samples_that_it_drew():
    """Leaves of several samples: what differs between the two is which of them is drawn."""
    x, y = world()
    options = dict(max_features=0.6, min_samples_leaf=7, random_state=2)
    theirs = quantile_forest.RandomForestQuantileRegressor(40, **options).fit(x, y)
    model = RandomForestRegressor(40, **options).fit(x, y)
    ours = leaf_values(model, x, y, 1, per_leaf=1)
    drawn = np.asarray(theirs.forest_.y_train_leaves)[:, :, 0, 0] - 1
    trees = [tree.tree_.node_count for tree in model.estimators_]
    ranks = np.concatenate([row[:count] for row, count in zip(drawn, trees, strict=True)])
    leaves = Leaves(np.sort(y), ranks[:, None].astype("int32"), ours.first)
    rows = world(100, 1)[0]
    _, bounds = spread(model, leaves, rows, LEVELS)
    np.testing.assert_allclose(bounds, theirs.predict(rows, LEVELS), rtol=1e-12)


number = st.floats(-1, 1)


@given(number, st.floats(0, 1), number)
def test_moved_bounds_never_cross_and_reach_as_far_as_asked(lower, width, shift):
    low, high = moved(np.array([lower]), np.array([lower + width]), shift)
    assert low <= high
    assert high - low == pytest.approx(max(width + 2 * shift, 0), abs=1e-12)
    assert (low + high) / 2 == pytest.approx(lower + width / 2, abs=1e-12)


def test_leaves_come_back_as_they_were(tmp_path):
    x, y = world(80)
    model = fitted(x, y, 4)
    leaves = leaf_values(model, x, y, 1)
    save_leaves(tmp_path / "leaves.npz", leaves)
    found = load_leaves(tmp_path / "leaves.npz", model)
    for name in ("values", "ranks", "first"):
        np.testing.assert_array_equal(getattr(found, name), getattr(leaves, name))
    assert [path.name for path in tmp_path.iterdir()] == ["leaves.npz"]


def test_leaves_of_another_forest_are_refused(tmp_path):
    x, y = world(80)
    model, other = fitted(x, y, 4), fitted(x, y, 5)
    save_leaves(tmp_path / "leaves.npz", leaf_values(other, x, y, 1))
    with pytest.raises(
        UserError, match=r"leaves\.npz: .* forest beside it \(4 trees, .* found 5 trees, .* Delete"
    ):
        load_leaves(tmp_path / "leaves.npz", model)


def pickled(path):
    np.savez(path, values=np.array([{}]), ranks=0, first=0)


@pytest.mark.parametrize(
    "write",
    [
        lambda path: path.write_bytes(b""),
        lambda path: path.write_bytes(b"<html>"),
        lambda path: path.write_bytes(b"PK\x03\x04 cut short"),
        lambda path: np.savez(path, values=np.arange(3)),
        pickled,
    ],
)
def test_an_unreadable_file_is_named_with_the_mend(tmp_path, write):
    write(tmp_path / "leaves.npz")
    with pytest.raises(UserError, match=r"leaves\.npz: expected the leaves .* Delete it and run"):
        load_leaves(tmp_path / "leaves.npz", fitted(*world(30), 2))
