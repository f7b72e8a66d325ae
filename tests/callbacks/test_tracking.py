"""`track`: loops by hand on each backend, and `train_on_batch`, against NumPy."""

from __future__ import annotations

import contextlib

import keras
import numpy as np
import pytest

from keras_lcb import GradientNorms, LayerConvergence, LayerwiseModel
from keras_lcb.callbacks.tracking import track
from keras_lcb.runs import schema
from tests import oracle
from tests.models import dense
from tests.oracle import Network

NETWORK = Network()
X, Y = NETWORK.data(20)
BATCHES = oracle.batches(X.astype("float32"), Y.astype("float32"), size=4, epochs=2)
BACKEND = keras.backend.backend()
on_tensorflow = pytest.mark.skipif(
    BACKEND != "tensorflow", reason="tf.GradientTape sees no other backend's tensors"
)
on_torch = pytest.mark.skipif(
    BACKEND != "torch", reason="loss.backward() is of torch's tensors alone"
)
on_jax = pytest.mark.skipif(BACKEND != "jax", reason="a loop with jax.grad is of JAX alone")


def by_hand(rule, batches=None):
    batches = oracle.batches(X, Y, size=4, epochs=2) if batches is None else batches
    return oracle.train(NETWORK.gradients, NETWORK.weights(), batches, rule, NETWORK.layers)


def check(run, expected):
    assert run["update"].values.tolist() == list(range(1, len(expected.gradient_norms) + 1))
    np.testing.assert_allclose(run.gradient_norm_per_update, expected.gradient_norms, rtol=1e-5)
    np.testing.assert_allclose(run.update_norm_per_update, expected.update_norms, rtol=1e-5)
    for now, (first, last) in enumerate(
        zip(run.step.values, run.step.values[1:], strict=False), start=1
    ):
        gradient, update = expected.rms(first, last)
        np.testing.assert_allclose(run.gradient_norm[now], gradient, rtol=1e-5)
        np.testing.assert_allclose(run.update_norm[now], update, rtol=1e-5)


def follow(model, step, optimizer=None):
    """Trains with one call of `step` a batch; `step` is made inside, as a compiled one must be."""
    norms, convergence = GradientNorms(per_update=True), LayerConvergence()
    with track(model, norms, convergence, optimizer=optimizer) as tracker:
        step = step()
        for number, batch in enumerate(BATCHES, start=1):
            loss = step(*batch)
            if number % 4 == 0:
                tracker.record(loss=float(loss))
    assert norms.results.step.values.tolist() == [0, 4, 8, 10]
    assert convergence.results.step.values.tolist() == [0, 4, 8, 10]
    assert (convergence.results.distance[0] > 0).all()
    assert np.isfinite(norms.results.loss[1:3]).all()
    return norms.results


def test_train_on_batch():
    model = dense(NETWORK)
    model.compile(keras.optimizers.SGD(0.1, momentum=0.9), "mse")
    run = follow(model, lambda: model.train_on_batch)
    check(run, by_hand(oracle.sgd(0.1, 0.9)))
    weights = model.get_weights()
    model.train_on_batch(X, Y)  # goes on, unmeasured
    assert not np.array_equal(weights[0], model.get_weights()[0])
    assert "apply" not in vars(model.optimizer)
    assert "make_train_function" not in vars(model)


def tensorflow_step(model, optimizer):
    import tensorflow as tf

    def step(x, y):
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean((model(x, training=True) - y) ** 2)
        variables = model.trainable_variables
        optimizer.apply_gradients(zip(tape.gradient(loss, variables), variables, strict=True))
        return loss

    return step


@on_tensorflow
@pytest.mark.parametrize("kind", ["eager", "graph", "xla"])
def test_a_tensorflow_loop(kind):
    import tensorflow as tf

    model = dense(NETWORK)  # not compiled
    optimizer = keras.optimizers.SGD(0.1, clipnorm=100.0)
    step = tensorflow_step(model, optimizer)
    compiled = {
        "eager": lambda: step,
        "graph": lambda: tf.function(step),
        "xla": lambda: tf.function(step, jit_compile=True),
    }[kind]
    check(follow(model, compiled, optimizer), by_hand(oracle.sgd(0.1)))
    assert "apply" not in vars(optimizer)


def jax_step(model, optimizer, donated=()):
    """Returns a step that keeps the state outside the model, and then assigns it to the model."""
    import jax

    def loss_of(trained, others, x, y):
        predicted, others = model.stateless_call(trained, others, x, training=True)
        return keras.ops.mean((predicted - y) ** 2), others

    def update(state, x, y):
        trained, others, of_optimizer = state
        (loss, others), gradient = jax.value_and_grad(loss_of, has_aux=True)(trained, others, x, y)
        trained, of_optimizer = optimizer.stateless_apply(of_optimizer, gradient, trained)
        return loss, (trained, others, of_optimizer)

    update = jax.jit(update, donate_argnums=donated)
    variables = model.trainable_variables, model.non_trainable_variables, optimizer.variables
    state = jax.tree.map(lambda variable: variable.value, variables)

    def step(x, y):
        nonlocal state
        loss, state = update(state, x, y)
        jax.tree.map(lambda variable, value: variable.assign(value), variables, state)
        return loss

    return step


@on_jax
@pytest.mark.parametrize("donated", [(), (0,)])
def test_a_stateless_jax_loop(donated):
    model, optimizer = dense(NETWORK), keras.optimizers.SGD(0.1, momentum=0.9)
    optimizer.build(model.trainable_variables)
    run = follow(model, lambda: jax_step(model, optimizer, donated), optimizer)
    check(run, by_hand(oracle.sgd(0.1, 0.9)))


@on_jax
def test_a_stateless_jax_loop_begins_in_the_block():
    model, optimizer = dense(NETWORK), keras.optimizers.SGD(0.1)
    optimizer.build(model.trainable_variables)
    step = jax_step(model, optimizer)  # reads the optimizer's variables too early
    with pytest.raises(ValueError, match="optimizer_variables"):
        follow(model, lambda: step, optimizer)


def torch_loss(model, x, y):
    import torch

    return torch.mean((model(x) - keras.ops.convert_to_tensor(y)) ** 2)


@on_torch
def test_a_torch_loop_with_a_keras_optimizer():
    import torch

    model = dense(NETWORK)
    optimizer = keras.optimizers.SGD(0.1)

    def step(x, y):
        model.zero_grad()
        loss = torch_loss(model, x, y)
        loss.backward()
        with torch.no_grad():
            variables = model.trainable_variables
            optimizer.apply([v.value.grad for v in variables], variables)
        return loss

    check(follow(model, lambda: step, optimizer), by_hand(oracle.sgd(0.1)))


@on_torch
@pytest.mark.parametrize("set_to_none", [True, False])
def test_a_torch_loop_with_torch_sgd(set_to_none):
    import torch

    model = dense(NETWORK)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)

    def step(x, y):
        optimizer.zero_grad(set_to_none=set_to_none)
        loss = torch_loss(model, x, y)
        loss.backward()
        optimizer.step()
        return loss

    run = follow(model, lambda: step, optimizer)
    check(run, by_hand(oracle.sgd(0.1)))
    assert run.attrs["optimizer"] == "SGD"
    np.testing.assert_allclose(run.learning_rate, 0.1)
    before = run.copy(deep=True)
    step(*BATCHES[0])  # outside: not measured
    assert run.identical(before)


@on_torch
def test_a_torch_loop_with_gradients_of_several_batches():
    import torch

    model = dense(NETWORK)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    norms = GradientNorms(per_update=True)
    with track(model, norms, optimizer=optimizer):
        for number, (x, y) in enumerate(BATCHES, start=1):
            (torch_loss(model, x, y) / 2).backward()
            if number % 2 == 0:
                optimizer.step()
                optimizer.zero_grad()
    expected = oracle.train(
        NETWORK.gradients,
        NETWORK.weights(),
        oracle.batches(X, Y, size=4, epochs=2),
        oracle.sgd(0.1),
        NETWORK.layers,
        accumulate=2,
    )
    check(norms.results, expected)


def test_a_layerwise_model_that_was_never_trained():
    plain = dense(NETWORK)
    first = next(layer.name for layer in plain.layers if layer.weights)
    model = LayerwiseModel.from_model(plain, learning_rate_multipliers={first: 0.5})
    model.compile(keras.optimizers.SGD(0.1), "mse")
    run = follow(model, lambda: model.train_on_batch)
    rates = run.update_norm_per_update / run.gradient_norm_per_update
    np.testing.assert_allclose(rates, np.broadcast_to([0.05, 0.1, 0.1], rates.shape), rtol=1e-5)
    assert f"gradient_norm/{first}" in model.train_on_batch(X, Y, return_dict=True)


class Unbuilt(LayerwiseModel):
    def __init__(self):
        super().__init__(learning_rate_multipliers={"first": 0.5})
        self.first = keras.layers.Dense(3, "tanh", name="first")
        self.last = keras.layers.Dense(Y.shape[1], name="last")

    def call(self, inputs):
        return self.last(self.first(inputs))


@pytest.mark.parametrize("kind", [GradientNorms, LayerConvergence])
def test_a_layerwise_model_that_is_built_within_the_block(kind):
    def trained(callback=None):
        keras.utils.set_random_seed(1)
        model = Unbuilt()
        model.compile(keras.optimizers.SGD(0.1), "mse")
        with track(model, callback) if callback else contextlib.nullcontext():
            for batch in BATCHES:
                model.train_on_batch(*batch)
        return model.get_weights()

    for ours, theirs in zip(trained(kind()), trained(), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-6)


@pytest.mark.skipif(BACKEND == "jax", reason="JAX has no optimizer that a loop could call")
def test_multipliers_are_no_part_of_a_loop_by_hand():
    optimizer = keras.optimizers.SGD(0.1)
    first = next(layer.name for layer in dense(NETWORK).layers if layer.weights)
    factors = {"learning_rate_multipliers": {first: 0.5}}
    model = LayerwiseModel.from_model(dense(NETWORK), **factors)
    model.compile(optimizer, "mse")
    gradients = [np.ones(variable.shape, "float32") for variable in model.trainable_variables]
    before = model.get_weights()
    with track(model, GradientNorms()):
        optimizer.apply(
            list(map(keras.ops.convert_to_tensor, gradients)), model.trainable_variables
        )
    for start, end in zip(before, model.get_weights(), strict=True):
        np.testing.assert_allclose(start - end, 0.1, rtol=1e-4)


def test_several_blocks_go_on_with_one_run():
    model = dense(NETWORK)
    model.compile(keras.optimizers.SGD(0.1), "mse")
    norms = GradientNorms(per_update=True)
    for part in (BATCHES[:4], BATCHES[4:]):
        with track(model, norms):
            for batch in part:
                model.train_on_batch(*batch)
    assert norms.results.step.values.tolist() == [0, 4, 10]
    check(norms.results, by_hand(oracle.sgd(0.1)))


def test_fit_inside_and_after_the_block():
    model = dense(NETWORK)
    model.compile(keras.optimizers.SGD(0.1), "mse")
    norms = GradientNorms(per_update=True)
    options = {"batch_size": 4, "shuffle": False, "verbose": 0}
    with track(model, norms):
        model.fit(X, Y, **options)
    model.fit(X, Y, callbacks=[norms], **options)
    assert norms.results.step.values.tolist() == [0, 5, 10]
    check(norms.results, by_hand(oracle.sgd(0.1)))


def test_callbacks_of_a_fit_inside_the_block_leave_and_tracking_goes_on():
    model = dense(NETWORK)
    model.compile(keras.optimizers.SGD(0.1), "mse")
    norms, within = GradientNorms(per_update=True), [GradientNorms(every=2), LayerConvergence()]
    with track(model, norms) as tracker:
        model.train_on_batch(*BATCHES[0])
        tracker.record()
        model.fit(X[4:], Y[4:], 4, shuffle=False, verbose=0, callbacks=within)
        for batch in BATCHES[5:]:
            model.train_on_batch(*batch)
    assert norms.results.step.values.tolist() == [0, 1, 10]
    assert within[0].results.step.values.tolist() == [0, 2, 4]
    expected = by_hand(oracle.sgd(0.1))
    check(norms.results, expected)
    np.testing.assert_allclose(within[0].results.gradient_norm[1], expected.rms(1, 3)[0], rtol=1e-5)


def test_a_model_compiled_anew_is_not_trained_by_the_old_step():
    model = dense(NETWORK)
    optimizer = keras.optimizers.SGD(0.1)
    model.compile(optimizer, "mse")
    with track(model, GradientNorms()):
        model.train_on_batch(*BATCHES[0])
    model.compile(optimizer, lambda y, predicted: keras.ops.mean(0.0 * predicted, axis=-1))
    before = model.get_weights()
    with track(model, GradientNorms()):
        model.train_on_batch(*BATCHES[0])
    assert all(map(np.array_equal, before, model.get_weights()))


def test_a_model_may_be_compiled_within_the_block_with_the_same_optimizer():
    model, norms = dense(NETWORK), GradientNorms()
    optimizer = keras.optimizers.SGD(0.1)
    model.compile(optimizer, "mse")
    with track(model, norms) as tracker:
        model.train_on_batch(*BATCHES[0])
        tracker.record()
        model.compile(
            optimizer, lambda y, predicted: 2 * keras.losses.mean_squared_error(y, predicted)
        )
        before = model.get_weights()
        model.train_on_batch(*BATCHES[0])
        tracker.record()
        expected = NETWORK.gradients(before, *BATCHES[0])
        model.compile("sgd", "mse")
        with pytest.raises(ValueError, match="with another optimizer within `track`"):
            model.train_on_batch(*BATCHES[0])
    doubled = [
        2 * np.sqrt(sum(np.sum(expected[p] ** 2) for p in layer)) for layer in NETWORK.layers
    ]
    np.testing.assert_allclose(norms.results.gradient_norm[2], doubled, rtol=1e-5)


def test_an_exception_lets_go():
    model = dense(NETWORK)
    model.compile(keras.optimizers.SGD(0.1), "mse")
    norms = GradientNorms()
    with pytest.raises(RuntimeError, match="theirs"):
        with track(model, norms):
            model.train_on_batch(X, Y)
            raise RuntimeError("theirs")
    assert "apply" not in vars(model.optimizer)
    assert "make_train_function" not in vars(model)
    assert not [v.path for v in model.optimizer.variables if "tap_" in v.path]


def test_no_update_of_train_on_batch_is_lost_when_the_ring_comes_round(monkeypatch):
    monkeypatch.setattr("keras_lcb.callbacks.step_quantities.RING_ROWS", 4)
    model = dense(NETWORK)
    model.compile(keras.optimizers.SGD(0.1), "mse")
    norms = GradientNorms(per_update=True)
    with track(model, norms):
        for batch in BATCHES:
            model.train_on_batch(*batch)
    check(norms.results, by_hand(oracle.sgd(0.1)))


@on_tensorflow
def test_updates_that_were_overwritten_are_missing_not_wrong(monkeypatch):
    monkeypatch.setattr("keras_lcb.callbacks.step_quantities.RING_ROWS", 4)
    model, optimizer = dense(NETWORK), keras.optimizers.SGD(0.1)
    norms = GradientNorms(per_update=True)
    with track(model, norms, optimizer=optimizer):
        step = tensorflow_step(model, optimizer)
        for batch in BATCHES:
            step(*batch)
    run, expected = norms.results, by_hand(oracle.sgd(0.1))
    assert np.isnan(run.gradient_norm_per_update[:6]).all()
    np.testing.assert_allclose(
        run.gradient_norm_per_update[6:], expected.gradient_norms[6:], rtol=1e-5
    )
    np.testing.assert_allclose(run.gradient_norm[1], expected.rms(0, 10)[0], rtol=1e-5)
    assert "at least every 4 updates" in schema.missing(run)["gradient_norm_per_update"]


def test_there_must_be_something_to_track():
    with pytest.raises(ValueError, match="received no callback"):
        with track(dense(NETWORK)):
            pass
    for wrong in ([LayerConvergence()], keras.callbacks.History()):
        with pytest.raises(ValueError, match="each as an argument of its own: .* received"):
            with track(dense(NETWORK), wrong):
                pass


def test_a_model_without_an_optimizer():
    with pytest.raises(ValueError, match="not compiled"):
        with track(dense(NETWORK), GradientNorms()):
            pass
