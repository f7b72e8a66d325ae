"""The norms that GradientNorms records are those of training by hand, in every mode of Keras."""

from __future__ import annotations

import keras
import numpy as np
import pytest

from keras_lcb import GradientNorms
from keras_lcb.runs import schema
from tests import oracle
from tests.models import dense
from tests.modes import BACKEND, modes

NETWORK = oracle.Network()
FLOAT32 = 1e-5


def fit(model, x, y, callback, *, epochs=2, batch_size=4, **options):
    return model.fit(
        x,
        y,
        batch_size=batch_size,
        epochs=epochs,
        shuffle=False,
        verbose=0,
        callbacks=[callback],
        **options,
    )


def by_hand(x, y, rule, *, size=4, epochs=2, accumulate=1, network=NETWORK):
    return oracle.train(
        network.gradients,
        network.weights(),
        oracle.batches(x, y, size=size, epochs=epochs),
        rule,
        network.layers,
        accumulate,
    )


def check_updates(run, expected, tolerance=FLOAT32):
    """Compares each update's norms."""
    assert run["update"].values.tolist() == list(range(1, len(expected.gradient_norms) + 1))
    np.testing.assert_allclose(
        run.gradient_norm_per_update, expected.gradient_norms, rtol=tolerance
    )
    np.testing.assert_allclose(run.update_norm_per_update, expected.update_norms, rtol=tolerance)


def check_records(run, expected, steps, tolerance=FLOAT32):
    """Compares the RMS between records, which are taken at `steps`."""
    assert run.step.values.tolist() == steps
    assert np.isnan(run.gradient_norm[0]).all() and np.isnan(run.update_norm[0]).all()
    for place, (first, last) in enumerate(zip(steps, steps[1:], strict=False), start=1):
        gradient, update = expected.rms(first, last)
        np.testing.assert_allclose(run.gradient_norm[place], gradient, rtol=tolerance)
        np.testing.assert_allclose(run.update_norm[place], update, rtol=tolerance)


def test_the_oracle_agrees_with_finite_differences():
    x, y = NETWORK.data(5)
    weight = np.linspace(0.5, 2.0, 5)
    weights = NETWORK.weights()
    slopes = oracle.finite_differences(lambda w: NETWORK.loss(w, x, y, weight), weights)
    for gradient, slope in zip(NETWORK.gradients(weights, x, y, weight), slopes, strict=True):
        np.testing.assert_allclose(gradient, slope, rtol=1e-6, atol=1e-9)


def test_every_mode(mode):
    x, y = NETWORK.data(44)  # 11 batches, and 7 does not divide 11
    model = dense(NETWORK)
    model.compile(keras.optimizers.SGD(0.1, momentum=0.9), "mse", **mode)
    norms = GradientNorms(per_update=True)
    fit(model, x, y, norms)
    expected = by_hand(x, y, oracle.sgd(0.1, 0.9))
    check_updates(norms.results, expected)
    check_records(norms.results, expected, [0, 11, 22])
    assert norms.results.layer.values.tolist() == ["a", "b", "c"]


def test_a_smaller_last_batch(fast_mode):
    x, y = NETWORK.data(11)
    model = dense(NETWORK)
    model.compile(keras.optimizers.SGD(0.1), "mse", **fast_mode)
    norms = GradientNorms(per_update=True)
    fit(model, x, y, norms)
    check_updates(norms.results, by_hand(x, y, oracle.sgd(0.1)))


def clip_each(arrays):
    return [g * min(1.0, 0.1 / np.linalg.norm(g)) for g in arrays]


def clip_all(arrays):
    norm = np.sqrt(sum(np.sum(g**2) for g in arrays))
    return [g * min(1.0, 0.1 / norm) for g in arrays]


def clip_values(arrays):
    return [np.clip(g, -0.02, 0.02) for g in arrays]


# Adam as it is by default enlarges rounding: in 1 - 0.999 ** t, and where gradients are small.
OPTIMIZERS = {
    "adam": (
        lambda: keras.optimizers.Adam(0.05, epsilon=0.1, beta_2=0.9),
        lambda: oracle.adam(0.05, second_rate=0.9),
    ),
    "weight decay": (
        lambda: keras.optimizers.AdamW(0.05, weight_decay=0.3, epsilon=0.1, beta_2=0.9),
        lambda: oracle.adam(0.05, decay=0.3, second_rate=0.9),
    ),
    "clipnorm": (
        lambda: keras.optimizers.SGD(0.2, clipnorm=0.1),
        lambda: oracle.clipped(oracle.sgd(0.2), clip_each),
    ),
    "global_clipnorm": (
        lambda: keras.optimizers.SGD(0.2, global_clipnorm=0.1),
        lambda: oracle.clipped(oracle.sgd(0.2), clip_all),
    ),
    "clipvalue": (
        lambda: keras.optimizers.SGD(0.2, clipvalue=0.02),
        lambda: oracle.clipped(oracle.sgd(0.2), clip_values),
    ),
    "use_ema": (
        lambda: keras.optimizers.SGD(0.2, use_ema=True, ema_momentum=0.9),
        lambda: oracle.sgd(0.2),
    ),
    "overwriting ema": (
        lambda: keras.optimizers.SGD(
            0.2, use_ema=True, ema_momentum=0.9, ema_overwrite_frequency=3
        ),
        lambda: oracle.averaged(oracle.sgd(0.2), 0.9, every=3),
    ),
    "rate schedule": (
        lambda: keras.optimizers.SGD(
            keras.optimizers.schedules.PiecewiseConstantDecay([100], [0.2, 0.1])
        ),
        lambda: oracle.sgd(0.2),
    ),
}


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_every_optimizer_option(name, fast_mode):
    x, y = NETWORK.data(44)
    optimizer, rule = OPTIMIZERS[name]
    model = dense(NETWORK)
    model.compile(optimizer(), "mse", **fast_mode)
    norms = GradientNorms(per_update=True)
    fit(model, x, y, norms)
    expected = by_hand(x, y, rule())
    check_updates(norms.results, expected)
    check_records(norms.results, expected, [0, 11, 22])


def test_accumulated_gradients(mode):
    x, y = NETWORK.data(44)
    model = dense(NETWORK)
    optimizer = keras.optimizers.SGD(0.2, momentum=0.9, gradient_accumulation_steps=3)
    model.compile(optimizer, "mse", **mode)
    norms = GradientNorms(per_update=True)
    fit(model, x, y, norms)
    # 11 batches an epoch: two stay behind at the first one's end, and go into the next update.
    expected = by_hand(x, y, oracle.sgd(0.2, 0.9), accumulate=3)
    check_updates(norms.results, expected)
    check_records(norms.results, expected, [0, 3, 7])


def test_constraints_belong_to_the_update(fast_mode):
    x, y = NETWORK.data(44)
    model = dense(NETWORK, kernel_constraint=keras.constraints.UnitNorm(axis=None))
    model.compile(keras.optimizers.SGD(0.2), "mse", **fast_mode)
    norms = GradientNorms(per_update=True)
    fit(model, x, y, norms)
    rule = oracle.constrained(oracle.sgd(0.2), lambda w: w / (1e-7 + np.linalg.norm(w)))
    check_updates(norms.results, by_hand(x, y, rule))


def test_sample_weights(fast_mode):
    x, y = NETWORK.data(44)
    weight = np.linspace(0.0, 3.0, 44)
    model = dense(NETWORK)
    model.compile(keras.optimizers.SGD(0.1), "mse", **fast_mode)
    norms = GradientNorms(per_update=True)
    fit(model, x, y, norms, sample_weight=weight)
    expected = oracle.train(
        NETWORK.gradients,
        NETWORK.weights(),
        oracle.batches(x, y, weight, size=4, epochs=2),
        oracle.sgd(0.1),
        NETWORK.layers,
    )
    check_updates(norms.results, expected)


# Mixed precision.


def test_float16_leaves_out_the_steps_that_overflow(quick_mode):
    x, y = (np.tile(array, (11, 1)) for array in NETWORK.data(4))  # equal batches
    model = dense(NETWORK, dtype="mixed_float16")
    # Far too large a scale: it is halved until the gradients fit into half precision.
    optimizer = keras.optimizers.LossScaleOptimizer(
        keras.optimizers.SGD(0.02), initial_scale=2.0**22
    )
    model.compile(optimizer, "mse", **quick_mode)
    norms = GradientNorms(per_update=True)
    fit(model, x, y, norms)
    run = norms.results
    skipped = round(22 - np.log2(float(keras.ops.convert_to_numpy(optimizer.dynamic_scale))))
    assert 0 < skipped < 11
    assert run.attrs["skipped_updates"] == skipped
    assert run.attrs["nonfinite_updates"] == 0
    applied = oracle.batches(x, y, size=4, epochs=2)[skipped:]
    expected = oracle.train(
        NETWORK.gradients, NETWORK.weights(), applied, oracle.sgd(0.02), NETWORK.layers
    )
    check_updates(run, expected, tolerance=1e-2)
    check_records(run, expected, [0, 11 - skipped, 22 - skipped], tolerance=1e-2)


def test_an_epoch_in_which_every_step_overflows(fast_mode):
    x, y = NETWORK.data(8)
    model = dense(NETWORK, dtype="mixed_float16")
    optimizer = keras.optimizers.LossScaleOptimizer(
        keras.optimizers.SGD(0.1), initial_scale=2.0**40
    )
    model.compile(optimizer, "mse", **fast_mode)
    norms = GradientNorms(per_update=True)
    fit(model, x, y, norms, epochs=3)
    run = norms.results
    assert run.attrs["skipped_updates"] == 6
    assert run.step.values.tolist() == [0]
    assert run.sizes["update"] == 0
    assert np.isnan(run.gradient_norm).all()


def test_bfloat16_needs_no_scale(fast_mode):
    x, y = NETWORK.data(44)
    model = dense(NETWORK, dtype="mixed_bfloat16")
    model.compile(keras.optimizers.SGD(0.1), "mse", **fast_mode)
    norms = GradientNorms(per_update=True)
    fit(model, x, y, norms)
    check_updates(norms.results, by_hand(x, y, oracle.sgd(0.1)), tolerance=5e-2)
    assert norms.results.attrs["skipped_updates"] == 0


# Layers that get no gradient.


def test_a_frozen_layer_has_no_gradient(fast_mode):
    x, y = NETWORK.data(44)
    model = dense(NETWORK)
    model.get_layer("b").trainable = False
    model.compile(keras.optimizers.SGD(0.1), "mse", **fast_mode)
    norms = GradientNorms(per_update=True)
    fit(model, x, y, norms)

    def rule(weights, gradients):
        return [
            w if place in (2, 3) else w - 0.1 * g
            for place, (w, g) in enumerate(zip(weights, gradients, strict=True))
        ]

    expected = by_hand(x, y, rule)
    run = norms.results
    for layer, place in (("a", 0), ("c", 2)):
        np.testing.assert_allclose(
            run.gradient_norm_per_update.sel(layer=layer),
            expected.gradient_norms[:, place],
            rtol=FLOAT32,
        )
    assert np.isnan(run.gradient_norm.sel(layer="b")).all()
    assert np.isnan(run.gradient_norm_per_update.sel(layer="b")).all()
    assert (run.update_norm.sel(layer="b")[1:] == 0).all()
    assert "frozen" in schema.missing(run)["gradient_norm/b"]


def test_a_layer_that_the_loss_does_not_depend_on(fast_mode):
    @keras.saving.register_keras_serializable("tests")
    class Idle(keras.layers.Layer):
        def build(self, shape):
            self.idle = self.add_weight(shape=(3, 3), name="idle")

        def call(self, inputs):
            return inputs

    x, y = NETWORK.data(44)
    inputs = keras.Input((3,))
    model = keras.Model(inputs, keras.layers.Dense(2, name="lin")(Idle(name="idle")(inputs)))
    model.compile("sgd", "mse", **fast_mode)
    norms = GradientNorms()
    fit(model, x, y, norms)
    run = norms.results
    assert np.isfinite(run.gradient_norm.sel(layer="lin")[1:]).all()
    values = run.gradient_norm.sel(layer="idle")[1:].values
    if keras.backend.backend() == "jax":  # its gradients are zeros where there is no dependence
        assert (values == 0).all()
    else:
        assert np.isnan(values).all()
        assert "loss does not" in schema.missing(run)["gradient_norm/idle"]


# NaN in training.


def test_the_first_nonfinite_update_is_named(quick_mode):
    check_nonfinite("epoch", quick_mode)


def test_the_first_nonfinite_update_is_named_between_epochs_ends(fast_mode):
    check_nonfinite(5, fast_mode)


def check_nonfinite(every, mode):
    x, y = NETWORK.data(44)
    model = dense(NETWORK)
    model.compile(keras.optimizers.SGD(0.1), "mse", **mode)
    norms = GradientNorms(every=every)
    fit(model, x, y, norms, epochs=1)
    assert norms.results.attrs["first_nonfinite_update"] == -1
    x[8 * 4] = np.nan  # in the ninth batch: update 20
    fit(model, x, y, norms, epochs=2)
    assert norms.results.attrs["first_nonfinite_update"] == 11 + 9
    assert norms.results.attrs["nonfinite_updates"] == 22 - 8
    assert np.isfinite(norms.results.gradient_norm.sel(step=11)).all()
    assert np.isnan(norms.results.gradient_norm[-1]).all()


@pytest.mark.skipif(BACKEND == "jax", reason="JAX sums in single precision")
@pytest.mark.parametrize("scale", [1e-25, 1e25])
def test_tiny_and_huge_gradients(scale, fast_mode):
    x, y = NETWORK.data(8)
    model = dense(NETWORK)

    def loss(y, p):
        return scale * keras.ops.mean((y - p) ** 2)

    model.compile(keras.optimizers.SGD(0.0), loss, **fast_mode)
    norms = GradientNorms(per_update=True)
    fit(model, x, y, norms)
    expected = by_hand(x, y, oracle.sgd(0.0))
    run = norms.results
    np.testing.assert_allclose(
        run.gradient_norm_per_update / scale, expected.gradient_norms, rtol=FLOAT32
    )
    np.testing.assert_allclose(run.gradient_norm[1] / scale, expected.rms(0, 2)[0], rtol=FLOAT32)
    assert run.attrs["nonfinite_updates"] == 0


# When records are taken.


def test_records_every_few_updates(quick_mode):
    x, y = NETWORK.data(44)
    model = dense(NETWORK)
    model.compile(keras.optimizers.SGD(0.1, momentum=0.9), "mse", **quick_mode)
    norms = GradientNorms(every=4)
    fit(model, x, y, norms)
    if quick_mode.get("steps_per_execution"):  # the host sees updates 7, 11, 18 and 22 only
        steps = [0, 7, 11, 18, 22]
    else:
        steps = [0, 4, 8, 12, 16, 20, 22]
    check_records(norms.results, by_hand(x, y, oracle.sgd(0.1, 0.9)), steps)


@pytest.mark.parametrize("every", ["epoch", 100, 5])
def test_no_update_is_lost_when_the_ring_comes_round(every, fast_mode, monkeypatch):
    monkeypatch.setattr("keras_lcb.callbacks.step_quantities.RING_ROWS", 8)
    x, y = NETWORK.data(44)
    model = dense(NETWORK)
    model.compile(keras.optimizers.SGD(0.1), "mse", **fast_mode)
    norms = GradientNorms(every=every, per_update=True)
    fit(model, x, y, norms)  # 11 updates an epoch
    check_updates(norms.results, by_hand(x, y, oracle.sgd(0.1)))


@pytest.mark.parametrize("every", ["epoch", 100])
@pytest.mark.parametrize("several_at_once", modes(7, one=False))
def test_the_ring_comes_round_within_several_steps(every, several_at_once, monkeypatch):
    monkeypatch.setattr("keras_lcb.callbacks.step_quantities.RING_ROWS", 8)
    x, y = NETWORK.data(120)
    model = dense(NETWORK)
    model.compile(keras.optimizers.SGD(0.1), "mse", **several_at_once)
    norms = GradientNorms(every=every, per_update=True)
    fit(model, x, y, norms)  # 30 updates an epoch, in a ring of 14
    check_updates(norms.results, by_hand(x, y, oracle.sgd(0.1)))
