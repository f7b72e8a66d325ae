"""Which layers are compared, and trends and ranks within groups, against NumPy by hand."""

import numpy as np
import pytest
import scipy.stats

from keras_lcb.analysis.comparison import Comparison, equal_layers, within_groups
from keras_lcb.analysis.rank import p_random_order, rank_correlation
from keras_lcb.analysis.time_ratio import time_ratio
from keras_lcb.analysis.verdict import DEEPER_FASTER, SHALLOWER_FASTER, judged

# Three stages of three blocks with two convolutions each: the first of a stage has its own shape.
STAGES = [
    (f"stage{stage}_block{block}_conv{conv}", f"{stage}{'first' if first else ''}")
    for stage in (1, 2, 3)
    for block in (1, 2, 3)
    for conv in (1, 2)
    for first in [block == conv == 1 and stage > 1]
]
# Six blocks of a transformer.
PARTS = {"attention/query": "qkv", "attention/key": "qkv", "attention/value": "qkv"}
PARTS |= {"attention/output": "out", "mlp1": "up", "mlp2": "down"}
TRANSFORMER = [(f"block{n}_{part}", shape) for n in range(6) for part, shape in PARTS.items()]


def compared(run_factory, layers):
    run = run_factory(rates=np.ones(len(layers)), layers=[name for name, _ in layers])
    run = run.assign_coords(shape=("layer", [shape for _, shape in layers]))
    return equal_layers(run, [name for name, _ in layers])


def test_layers_whose_shape_no_other_has_are_left_out(run_factory):
    found = compared(run_factory, list(zip("uvwxyz", "abbabb", strict=True)))
    assert found == Comparison(
        tuple("uvwxyz"),
        (0, 1, 1, 0, 1, 1),
        tuple(range(6)),
        "of 2 shapes, each compared with those of its own shape",
    )
    found = compared(run_factory, list(zip("uvwxyz", "abbcbb", strict=True)))
    assert (found.layers, found.which) == (tuple("vwyz"), "of equal shape")
    assert found == Comparison.of_all("vwyz", "of equal shape")


def test_without_three_equal_ones_all_are_compared(run_factory):
    found = compared(run_factory, list(zip("uvwx", "aabb", strict=True)))
    assert found.layers == tuple("uvwx") and set(found.groups) == {0}
    assert "no 3 have kernels of equal shape" in found.which
    assert compared(run_factory, list(zip("uvwx", ["", "", "", "a"], strict=True))).which == (
        found.which
    )
    run = run_factory()
    names = run["layer"].values.tolist()
    found = equal_layers(run.drop_vars("shape", errors="ignore"), names)
    assert found.layers == tuple(names) and "does not say the shapes" in found.which
    assert equal_layers(run, []).layers == ()


def test_stages_of_a_residual_network_span_its_depth(run_factory):
    found = compared(run_factory, STAGES)
    assert len(found.layers) == 16 and len(set(found.groups)) == 3
    assert found.places[0] == 0 and found.places[-1] == 8
    assert found.count == 14


def test_layers_of_a_block_lie_equally_deep(run_factory):
    found = compared(run_factory, TRANSFORMER)
    assert found.places == tuple(np.repeat(range(6), 6))
    two = compared(run_factory, TRANSFORMER[:12])
    assert two.places == tuple(range(12)), "two blocks have no order worth looking at"


@pytest.mark.parametrize("layers", [STAGES, TRANSFORMER], ids=["residual", "transformer"])
def test_neither_sizes_nor_parts_of_a_block_look_like_depth(run_factory, layers):
    """All times grow by 10 % a block, and differ much more by shape and by part of the block."""
    found = compared(run_factory, layers)
    rng = np.random.default_rng(0)
    of_shape = rng.lognormal(0, 2, len(set(found.groups)))
    parts = [name.partition("block")[2][1:] for name in found.layers]
    of_part = dict(zip(dict.fromkeys(parts), rng.lognormal(0, 2, 40), strict=False))
    if layers is STAGES:
        of_part = dict.fromkeys(parts, 1.0)
    times = np.array(
        [
            1.1**place * of_shape[group] * of_part[part]
            for place, group, part in zip(found.places, found.groups, parts, strict=True)
        ]
    )
    ratio = time_ratio(times[None], found)
    assert ratio.value == pytest.approx(1.1 ** found.places[-1])


def test_the_trend_is_that_of_a_regression_with_a_line_for_each_group():
    rng = np.random.default_rng(1)
    places, groups = (0, 1, 1, 2, 3, 5), (0, 0, 1, 1, 0, 1)
    times = rng.lognormal(0, 1, (4, 6))
    design = np.column_stack([places, np.equal(groups, 0), np.equal(groups, 1)])
    slopes = np.linalg.lstsq(design, np.log(times).T, rcond=None)[0][0]
    found = time_ratio(times, Comparison(tuple("abcdef"), groups, places))
    np.testing.assert_allclose(np.log(found.of_runs), slopes * 5, rtol=1e-9)


def test_a_trend_needs_layers_of_a_group_in_two_places():
    pairs = Comparison(tuple("abcd"), (0, 0, 1, 1), (0, 0, 1, 1))
    assert not time_ratio(np.ones((3, 4)), pairs).defined
    assert within_groups(np.array([1.0, 3.0, 5.0]), (0, 0, 1)).tolist() == [-1.0, 1.0, 0.0]


def test_ranks_are_those_within_groups():
    depth, values = np.arange(7.0), np.array([3, 1, 2, np.inf, 10, 30, 20.0])
    groups = (0, 0, 0, 0, 1, 1, 1)
    first = np.r_[scipy.stats.rankdata(depth[:4]) / 5, scipy.stats.rankdata(depth[4:]) / 4] - 0.5
    second = np.r_[np.array([3, 1, 2, 4]) / 5, np.array([1, 3, 2]) / 4] - 0.5
    found = rank_correlation([(depth, values)] * 2, groups)
    assert found.spearman == pytest.approx(np.corrcoef(first, second)[0, 1])
    shifted = values + np.where(np.array(groups) == 1, -1000, 0)
    assert rank_correlation([(depth, shifted)] * 2, groups) == found


@pytest.mark.parametrize("layers", [STAGES, TRANSFORMER], ids=["residual", "transformer"])
@pytest.mark.parametrize("seeds", [5, 10])
def test_layers_in_random_order_rarely_look_ordered(run_factory, layers, seeds):
    """At most 8 % of studies, as without groups; and the p-value of ranks is nearly uniform."""
    found = compared(run_factory, layers)
    rng = np.random.default_rng(seeds)
    shapes = rng.lognormal(0, 2, len(set(found.groups)))[list(found.groups)]
    clear, below = 0, 0
    for _ in range(400):
        times = shapes * rng.lognormal(0, 0.5, (seeds, len(found.layers)))
        bias = judged(times, times, found)
        clear += bias.verdict in (SHALLOWER_FASTER, DEEPER_FASTER)
        below += p_random_order(bias.time_to_half, found.count) < 0.05
    assert clear / 400 <= 0.08
    assert 0.02 <= below / 400 <= 0.08
