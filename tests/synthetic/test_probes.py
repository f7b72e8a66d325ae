"""Probes against scikit-learn and against sums written out."""

import numpy as np
import pytest
from sklearn.linear_model import Ridge
from sklearn.metrics import r2_score

from keras_lcb.runs import schema
from keras_lcb.synthetic import build_network, effective_target, layer_features, probe, probes

X = np.linspace(-np.pi, np.pi, 120, endpoint=False)[:, None]
PERIODIC = build_network(2, 12, period=2 * np.pi, initializer="fan_in")
RANDOM = np.random.default_rng(0)
# Initializers draw other numbers on other devices.
PERIODIC.set_weights([RANDOM.uniform(-0.7, 0.7, w.shape) for w in PERIODIC.get_weights()])


def sklearn_r2(features, target, members, ridge):
    features = features.astype(np.float64)
    penalty = ridge * features.var(axis=0).sum() * len(features) / features.shape[1]
    scores = []
    for fold in range(5):
        out = members == fold
        model = Ridge(alpha=penalty).fit(features[~out], target[~out])
        scores.append(r2_score(target[out], model.predict(features[out])))
    return np.mean(scores)


@pytest.mark.parametrize("units", [7, 40, 300])
@pytest.mark.parametrize("ridge", [1e-6, 1e-2])
def test_ridge_agrees_with_scikit_learn(units, ridge):
    rng = np.random.default_rng(units)
    features = np.maximum(X * rng.normal(size=units) + rng.normal(size=units), 0)
    targets = np.concatenate([np.sin(X * [1, 2, 9]), np.cos(X * [1, 2, 9])], axis=1)
    members = probes.folds(X[:, 0], seed=3)
    expected = [sklearn_r2(features, column, members, ridge) for column in targets.T]
    np.testing.assert_allclose(
        probes.ridge_r2(features, targets, members, ridge), expected, atol=1e-5
    )


def test_probe_agrees_with_scikit_learn():
    model = build_network(3, 20, initializer="fan_in", seed=5)
    result = probe(model, X, [1, 4], ridge=1e-4, seed=2)
    members = probes.folds(X[:, 0], seed=2)
    for name, features in layer_features(model, X).items():
        for k in (1, 4):
            waves = (np.sin(k * X[:, 0]), np.cos(k * X[:, 0]))
            expected = np.mean([sklearn_r2(features, wave, members, 1e-4) for wave in waves])
            assert float(result.r2.sel(layer=name, frequency=k)) == pytest.approx(
                expected, abs=1e-6
            )


def test_a_probe_is_a_run():
    result = probe(PERIODIC, X, [1, 2, 3])
    assert schema.is_run(result)
    assert result.r2.dims == ("layer", "frequency")
    assert result.layer.values.tolist() == ["layer_0", "layer_1"]
    assert schema.settings(result)["probe"]["folds"] == 5


def test_what_is_there_is_found_and_what_is_not_is_not():
    r2 = probe(PERIODIC, X, [1, 40]).r2
    assert r2.sel(frequency=1).min() > 0.99
    assert r2.sel(frequency=40).max() < 0.2
    dead = build_network(2, 8)
    dead.set_weights([0 * w for w in dead.get_weights()])
    assert abs(probe(dead, X, [1, 2]).r2).max() < 0.1


def test_the_period_sets_what_wave_number_one_is():
    unit = build_network(2, 12, period=1.0, initializer="fan_in")
    unit.set_weights(PERIODIC.get_weights())
    on_unit = probe(unit, X / (2 * np.pi), [1, 2, 5], period=1.0)
    np.testing.assert_allclose(on_unit.r2, probe(PERIODIC, X, [1, 2, 5]).r2, atol=1e-3)


@pytest.mark.parametrize("points", [25, 101, 512])
def test_folds_interleave(points):
    positions = np.random.default_rng(0).permutation(points) * 1.0
    members = probes.folds(positions, seed=4)[np.argsort(positions)]
    for start in range(0, points - 4, 5):
        assert sorted(members[start : start + 5]) == [0, 1, 2, 3, 4]
    np.testing.assert_array_equal(probes.folds(positions, 4), probes.folds(positions, 4))
    assert not np.array_equal(probes.folds(positions, 4), probes.folds(positions, 5))


@pytest.mark.parametrize(
    ("x", "frequencies", "options", "says"),
    [
        (X, [60], {}, "below 60, their Nyquist limit; received 60"),
        (X, [0], {}, "1 or more"),
        (X, [1.5], {}, "whole"),
        (X[:24], [1], {}, "25 points"),
        (X, [1], {"ridge": 0.0}, "`ridge`"),
        (X, [1], {"period": -1.0}, "`period`"),
    ],
)
def test_what_cannot_be_probed_is_refused(x, frequencies, options, says):
    with pytest.raises(ValueError, match=says):
        probe(PERIODIC, x, frequencies, **options)


def test_effective_target_is_the_filtered_share():
    model = build_network(2, 5, initializer="fan_in")
    y = np.sin(3 * X) + 1
    ratios = effective_target(model, X, y, [0.003, 0.2])
    assert ratios.dims == ("layer", "width")
    centred = y[:, 0] - y.mean()
    for name, values in layer_features(model, X).items():
        squared = ((values[:, None, :].astype(float) - values[None, :, :]) ** 2).sum(-1)
        squared /= squared[~np.eye(len(X), dtype=bool)].mean()
        for width in (0.003, 0.2):
            kernel = np.exp(-squared / 2 / width)
            smooth = (kernel / kernel.sum(1, keepdims=True)) @ centred
            expected = (smooth**2).sum() / (centred**2).sum()
            assert float(ratios.sel(layer=name, width=width)) == pytest.approx(expected, rel=1e-5)


def test_effective_target_ranks_slow_above_fast():
    slow, fast = (effective_target(PERIODIC, X, np.sin(k * X), [0.05]) for k in (1, 8))
    assert (slow > fast).all()


def test_effective_target_of_dead_features_is_missing():
    dead = build_network(2, 8)
    dead.set_weights([0 * w for w in dead.get_weights()])
    assert np.isnan(effective_target(dead, X, np.sin(X), [0.1])).all()


@pytest.mark.parametrize(
    ("y", "widths", "says"),
    [
        (np.sin(X[:, 0]), None, "shape of `x`"),
        (np.ones_like(X), None, "constant"),
        (np.full_like(X, 0.1), None, "constant"),
        (np.sin(X), [0.0], "positive"),
        (np.sin(X), 0.1, "list"),
    ],
)
def test_an_effective_target_that_makes_no_sense_is_refused(y, widths, says):
    with pytest.raises(ValueError, match=says):
        effective_target(PERIODIC, X, y, widths)
