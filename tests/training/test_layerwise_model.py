"""LayerwiseModel: what it logs, how it scales, and that it otherwise is a plain Keras model."""

from __future__ import annotations

import csv
import pickle

import keras
import numpy as np
import pytest

from keras_lcb.training.layerwise_model import LayerwiseModel
from tests import oracle
from tests.modes import NEEDS_COMPILER, USUAL, modes
from tests.oracle import Network

NETWORK = Network()
BATCH = 8
RATE = 0.05
OPTIMIZERS = {
    "sgd": (lambda: keras.optimizers.SGD(RATE), lambda: oracle.sgd(RATE)),
    "momentum": (
        lambda: keras.optimizers.SGD(RATE, momentum=0.9),
        lambda: oracle.sgd(RATE, 0.9),
    ),
    "adam": (lambda: keras.optimizers.Adam(0.01, epsilon=0.1), lambda: oracle.adam(0.01)),
    "adamw": (
        lambda: keras.optimizers.AdamW(0.01, weight_decay=0.1, epsilon=0.1),
        lambda: oracle.adam(0.01, decay=0.1),
    ),
}


def make_tanh(cls=LayerwiseModel, dtype=None, **options):
    """The oracle's network, with the layers `a`, `b` and `c`."""
    inputs = outputs = keras.Input((NETWORK.sizes[0],))
    last = len(NETWORK.sizes) - 2
    for depth, width in enumerate(NETWORK.sizes[1:]):
        activation = None if depth == last else "tanh"
        outputs = keras.layers.Dense(width, activation, name="abc"[depth], dtype=dtype)(outputs)
    model = cls(inputs, outputs, **options)
    model.set_weights(NETWORK.weights())
    return model


def make_mixed(cls, **options):
    """Batch normalization and dropout: what a second forward pass could disturb."""
    keras.utils.set_random_seed(3)
    inputs = keras.Input((4,))
    signal = keras.layers.Dense(8, "tanh", name="first")(inputs)
    signal = keras.layers.BatchNormalization(name="norm")(signal)
    signal = keras.layers.Dropout(0.4, seed=5)(signal)
    signal = keras.layers.Dense(8, "relu", kernel_regularizer="l2", name="second")(signal)
    return cls(inputs, keras.layers.Dense(1, name="head")(signal), **options)


def mixed_data():
    random = np.random.default_rng(0)
    x = random.normal(size=(32, 4)).astype("float32")
    return x, x[:, :1] ** 2


def fit(model, x, y, **options):
    options = {"batch_size": BATCH, "shuffle": False, "verbose": 0} | options
    return model.fit(x, y, **options).history


def compiled(model, optimizer="sgd", **options):
    model.compile(optimizer, "mse", **(USUAL | options))
    return model


def assert_same(first, second):
    for one, other in zip(first, second, strict=True):
        np.testing.assert_array_equal(one, other)


def scaled(rule, factors):
    """A rule whose steps are taken in part, layer by layer."""

    def in_part(weights, gradients):
        after = rule(weights, gradients)
        return [
            w + factors[place // 2] * (a - w)
            for place, (w, a) in enumerate(zip(weights, after, strict=True))
        ]

    return in_part


def logged(history, name):
    return np.array([history[f"{name}/{layer}"] for layer in "abc"]).T


# Without options.


@pytest.mark.parametrize("options", [{}, {"gradient_predictiveness": True}], ids=str)
def test_trains_bit_for_bit_as_a_plain_model(options):
    x, y = mixed_data()
    weights, logs = [], []
    # TensorFlow's graph optimizer rounds the gradients of batch normalization in one way or
    # another, depending on who reads them.
    eagerly = keras.backend.backend() == "tensorflow"
    for cls, chosen in ((keras.Model, {}), (LayerwiseModel, options)):
        model = make_mixed(cls, **chosen)
        model.compile("adam", "mse", metrics=["mae"], run_eagerly=eagerly)
        logs.append(fit(model, x, y, epochs=2, validation_data=(x, y)))
        weights.append([keras.ops.convert_to_numpy(v) for v in model.variables])
    # Sums of metrics count here, too: `variables` holds them, and the seeds' states.
    assert_same(*weights)
    for name, values in logs[0].items():
        assert logs[1][name] == values


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_trains_bit_for_bit_as_a_plain_model_in_the_usual_mode(optimizer):
    x, y = NETWORK.data(5 * BATCH)
    weights = []
    for cls in (keras.Model, LayerwiseModel):
        model = compiled(make_tanh(cls), OPTIMIZERS[optimizer][0]())
        fit(model, x, y, epochs=2)
        weights.append([keras.ops.convert_to_numpy(v) for v in model.optimizer.variables])
        weights[-1] += model.get_weights()
    assert_same(*weights)


# Logs.


@pytest.mark.parametrize("mode", modes(5))
def test_logs_norms_and_ratios_as_backpropagation_by_hand(mode):
    x, y = NETWORK.data(7 * BATCH)
    model = compiled(make_tanh(), keras.optimizers.SGD(RATE, momentum=0.9), **mode)
    history = fit(model, x, y, epochs=2)
    weights = NETWORK.weights()
    rule = oracle.sgd(RATE, 0.9)
    norms, steps, sizes = [], [], []
    for batch in oracle.batches(x, y, size=BATCH, epochs=2):
        gradients = NETWORK.gradients(weights, *batch)
        after = rule(weights, gradients)
        moved = [a - w for a, w in zip(after, weights, strict=True)]
        steps.append(oracle.layer_norms(moved, NETWORK.layers))
        sizes.append(oracle.layer_norms(weights, NETWORK.layers))
        norms.append(oracle.layer_norms(gradients, NETWORK.layers))
        weights = after
    rms = lambda values: np.sqrt(np.mean(np.array(values).reshape(2, 7, 3) ** 2, axis=1))  # noqa: E731
    np.testing.assert_allclose(logged(history, "gradient_norm"), rms(norms), rtol=1e-5)
    np.testing.assert_allclose(logged(history, "update_ratio"), rms(steps) / rms(sizes), rtol=1e-5)


def test_gradient_norms_are_of_the_accumulated_batch_before_clipping():
    x, y = NETWORK.data(4 * BATCH)
    optimizer = keras.optimizers.SGD(RATE, gradient_accumulation_steps=2, clipnorm=1e-3)
    history = fit(compiled(make_tanh(), optimizer), x, y)

    def clip(gradients):
        return [g * min(1, 1e-3 / np.linalg.norm(g)) for g in gradients]

    training = oracle.train(
        NETWORK.gradients,
        NETWORK.weights(),
        oracle.batches(x, y, size=BATCH),
        oracle.clipped(oracle.sgd(RATE), clip),
        NETWORK.layers,
        accumulate=2,
    )
    norms, _ = training.rms(0, 2)
    np.testing.assert_allclose(logged(history, "gradient_norm")[0], norms, rtol=1e-5)


@pytest.mark.parametrize("jit_compile", [False, pytest.param(True, marks=NEEDS_COMPILER)])
def test_accumulation_counts_updates_not_batches(jit_compile):
    x, y = NETWORK.data(BATCH)
    histories = []
    for steps, repeats in ((None, 1), (3, 3)):
        optimizer = keras.optimizers.SGD(RATE, gradient_accumulation_steps=steps)
        model = compiled(make_tanh(), optimizer, jit_compile=jit_compile)
        histories.append(fit(model, np.tile(x, (repeats, 1)), np.tile(y, (repeats, 1))))
    for name in ("gradient_norm", "update_ratio"):
        np.testing.assert_allclose(*(logged(h, name) for h in histories), rtol=1e-5)


def test_mixed_precision_logs_unscaled_gradients():
    x, y = NETWORK.data(BATCH)
    single = fit(compiled(make_tanh()), x, y)
    policy = keras.dtype_policies.DTypePolicy("mixed_float16")
    model = make_tanh(dtype=policy, gradient_predictiveness=True)
    scaler = keras.optimizers.LossScaleOptimizer(keras.optimizers.SGD(0.01), initial_scale=256.0)
    history = fit(compiled(model, scaler), x, y)
    for name in ("gradient_norm", "update_ratio"):
        np.testing.assert_allclose(logged(history, name), logged(single, name), rtol=0.02)
    assert np.all(logged(history, "relative_gradient_change") > 0)


def test_sparse_gradients_of_embeddings():
    inputs = keras.Input((3,), dtype="int32")
    vectors = keras.layers.Embedding(5, 2, name="a")(inputs)
    outputs = keras.layers.Dense(1, name="b", use_bias=False)(keras.layers.Flatten()(vectors))
    model = LayerwiseModel(
        inputs, outputs, learning_rate_multipliers={"a": 0.5}, gradient_predictiveness=1e-3
    )
    kernel = np.arange(1.0, 7.0)[:, None]
    model.set_weights([np.zeros((5, 2)), kernel])
    compiled(model, keras.optimizers.SGD(0.1))
    # Loss (0 − 1)², of one sample that names row 1 twice.
    history = fit(model, np.array([[1, 1, 3]]), np.array([[1.0]]), batch_size=1)
    gradient = np.zeros((5, 2))
    gradient[1], gradient[3] = -2 * np.array([1 + 3, 2 + 4]), -2 * np.array([5, 6])
    np.testing.assert_allclose(model.get_weights()[0], -0.05 * gradient, rtol=1e-6)
    np.testing.assert_allclose(history["gradient_norm/a"], [np.linalg.norm(gradient)], rtol=1e-6)
    # The error e is linear in the vectors, with the slope g/2e at e = −1: a step of −ηg takes
    # the part η‖g‖²/2 off it, and off the gradient 2e·slope.
    lost = 1e-3 * np.linalg.norm(gradient) ** 2 / 2
    np.testing.assert_allclose(history["relative_gradient_change/a"], [lost], rtol=1e-3)


def test_layers_without_a_gradient_are_nan_and_do_not_move():
    x, y = NETWORK.data(BATCH)
    model = make_tanh(gradient_predictiveness=True)
    model.get_layer("a").trainable = False
    history = fit(compiled(model), x, y)
    assert np.isnan(history["gradient_norm/a"]) and history["update_ratio/a"] == [0.0]
    assert np.isnan(history["relative_gradient_change/a"])
    assert history["gradient_norm/b"][0] > 0


def test_a_layer_that_starts_from_zero_logs_finite_ratios():
    x, y = NETWORK.data(2 * BATCH)
    model = make_tanh()
    model.get_layer("c").set_weights([np.zeros((4, 2)), np.zeros(2)])
    history = fit(compiled(model), x, y)
    assert 0 < history["update_ratio/c"][0] < np.inf


def test_loggers_see_the_epoch_and_evaluation_does_not(tmp_path):
    x, y = NETWORK.data(2 * BATCH)
    model = compiled(make_tanh(), metrics=["mae"])
    callbacks = [
        keras.callbacks.CSVLogger(tmp_path / "log.csv"),
        keras.callbacks.TensorBoard(tmp_path / "board"),
    ]
    history = fit(model, x, y, epochs=2, validation_data=(x, y), callbacks=callbacks)
    own = {name for name in history if "/" in name}
    assert own == {
        f"{kind}/{layer}" for kind in ("gradient_norm", "update_ratio") for layer in "abc"
    }
    assert {name for name in history if name.startswith("val_")} == {"val_loss", "val_mae"}
    assert set(model.evaluate(x, y, verbose=0, return_dict=True)) == {"loss", "mae"}
    rows = list(csv.DictReader((tmp_path / "log.csv").open()))
    values = [float(row["gradient_norm/b"]) for row in rows]
    np.testing.assert_allclose(values, history["gradient_norm/b"], rtol=1e-6)
    np.testing.assert_allclose(
        scalars(tmp_path / "board" / "train", "epoch_update_ratio/a"),
        history["update_ratio/a"],
        rtol=1e-6,
    )


def scalars(folder, tag):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
    from tensorboard.util import tensor_util

    events = EventAccumulator(str(folder)).Reload()
    return [float(tensor_util.make_ndarray(e.tensor_proto)) for e in events.Tensors(tag)]


def test_train_on_batch_returns_metrics_alone_unless_a_dictionary_is_asked_for():
    x, y = NETWORK.data(BATCH)
    model = compiled(make_tanh())
    assert np.ndim(model.train_on_batch(x, y)) == 0
    gradients = NETWORK.gradients([w.astype("float64") for w in model.get_weights()], x, y)
    model.reset_metrics()
    logs = model.train_on_batch(x, y, return_dict=True)
    norms = oracle.layer_norms(gradients, NETWORK.layers)
    np.testing.assert_allclose([logs[f"gradient_norm/{n}"] for n in "abc"], norms, rtol=1e-5)


@pytest.mark.parametrize("verbose", [1, 2])
@pytest.mark.parametrize("shown", [False, True])
def test_the_progress_bar_shows_norms_on_request(shown, verbose, capsys):
    x, y = NETWORK.data(BATCH)
    history = fit(compiled(make_tanh(progress_bar=shown)), x, y, verbose=verbose)
    printed = capsys.readouterr().out
    assert "loss" in printed
    assert ("gradient_norm/a" in printed) == shown
    assert "gradient_norm/a" in history


# Learning rate multipliers.


@pytest.mark.parametrize(
    "optimizer", [*OPTIMIZERS, pytest.param("adam in xla", marks=NEEDS_COMPILER)]
)
def test_multipliers_take_that_part_of_the_whole_step(optimizer):
    x, y = NETWORK.data(5 * BATCH)
    optimizer, _, xla = optimizer.partition(" in ")
    ours, theirs = OPTIMIZERS[optimizer]
    factors = {"a": 0.0, "b": 0.3, "c": 2.5}
    mode = {"jit_compile": True} if xla else USUAL
    model = compiled(make_tanh(learning_rate_multipliers=factors), ours(), **mode)
    history = fit(model, x, y)
    training = oracle.train(
        NETWORK.gradients,
        NETWORK.weights(),
        oracle.batches(x, y, size=BATCH),
        scaled(theirs(), list(factors.values())),
        NETWORK.layers,
    )
    for found, expected in zip(model.get_weights(), training.weights, strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=2e-6)
    gradients, updates = training.rms(0, 5)
    np.testing.assert_allclose(logged(history, "gradient_norm")[0], gradients, rtol=1e-4)
    sizes = oracle.layer_norms(NETWORK.weights(), NETWORK.layers)
    np.testing.assert_allclose(logged(history, "update_ratio")[0], updates / sizes, rtol=0.1)


def test_multipliers_of_one_update_against_keras_itself():
    x, y = NETWORK.data(BATCH)
    plain = compiled(make_tanh(keras.Model), "adam")
    model = compiled(make_tanh(learning_rate_multipliers={"a": 0.25, "b": 3}), "adam")
    for trained in (plain, model):
        fit(trained, x, y)
    factors = np.repeat(np.array([0.25, 3, 1], "float32"), 2)
    for start, whole, part, factor in zip(
        make_tanh(keras.Model).get_weights(),
        plain.get_weights(),
        model.get_weights(),
        factors,
        strict=True,
    ):
        expected = whole if factor == 1 else start + factor * (whole - start)
        np.testing.assert_allclose(part, expected, rtol=0, atol=2e-7)


@pytest.mark.parametrize(
    "optimizer",
    [
        lambda: keras.optimizers.AdamW(0.01, weight_decay=0.1, epsilon=0.1),
        lambda: keras.optimizers.SGD(RATE, momentum=0.9, weight_decay=0.1),
        lambda: keras.optimizers.Adam(0.01, use_ema=True, ema_overwrite_frequency=2),
        lambda: keras.optimizers.Adam(0.01, use_ema=True, gradient_accumulation_steps=2),
    ],
    ids=["decay", "momentum", "overwriting", "average"],
)
def test_factor_zero_leaves_a_layer_as_it_is(optimizer):
    x, y = mixed_data()
    inputs = keras.Input((4,))
    hidden = keras.layers.Dense(6, "tanh", kernel_constraint="unit_norm", name="still")(inputs)
    outputs = keras.layers.Dense(1, name="moving")(hidden)
    model = LayerwiseModel(inputs, outputs, learning_rate_multipliers={"still": 0})
    before = model.get_weights()
    history = fit(compiled(model, optimizer()), x, y, epochs=2)
    assert_same(model.get_weights()[:2], before[:2])
    assert not np.array_equal(model.get_weights()[2], before[2])
    assert history["update_ratio/still"] == [0.0, 0.0]


@pytest.mark.parametrize("factor", [0.4, 1.0, 3.0])
def test_constraints_hold_after_a_scaled_step(factor):
    x, y = mixed_data()
    inputs = keras.Input((4,))
    constraint = keras.constraints.MaxNorm(0.2)
    outputs = keras.layers.Dense(1, kernel_constraint=constraint, name="lin")(inputs)
    model = LayerwiseModel(inputs, outputs, learning_rate_multipliers={"lin": factor})
    fit(compiled(model, keras.optimizers.SGD(0.5)), x, y)
    assert np.linalg.norm(model.get_weights()[0]) <= 0.2 * (1 + 1e-6)


class Changing(keras.callbacks.Callback):
    """Sets a factor after a batch and another one after an epoch."""

    def __init__(self):
        super().__init__()
        self.kept = []

    def on_train_batch_end(self, batch, logs=None):
        if batch == 1:
            self.model.learning_rate_multipliers["a"] = 0.0
            self.kept.append(self.model.get_layer("a").get_weights())

    def on_epoch_end(self, epoch, logs=None):
        assert_same(self.model.get_layer("a").get_weights(), self.kept[-1])
        self.model.learning_rate_multipliers["a"] = 1.0


def test_factors_change_in_the_midst_of_training_without_compiling_anew():
    traces = []

    class Counting(LayerwiseModel):
        def train_step(self, *arguments):
            traces.append(1)
            return super().train_step(*arguments)

    x, y = NETWORK.data(4 * BATCH)
    model = compiled(make_tanh(Counting))
    changing = Changing()
    fit(model, x, y, epochs=1, callbacks=[changing])
    count = len(traces)
    fit(model, x, y, epochs=2, callbacks=[changing])
    if keras.backend.backend() != "torch":  # where every step is Python
        assert len(traces) == count
    kernels = [weights[0] for weights in changing.kept]
    assert not np.array_equal(kernels[0], kernels[1]) and not np.array_equal(*kernels[1:])
    assert model.learning_rate_multipliers["a"] == 1.0


def test_longer_names_go_before_shorter_ones():
    inputs = keras.Input((2,))
    block = keras.Sequential(
        [keras.layers.Dense(3, name="one"), keras.layers.Dense(3, name="two")], name="block"
    )
    model = LayerwiseModel(inputs, keras.layers.Dense(1, name="head")(block(inputs)))
    factors = model.learning_rate_multipliers
    factors["block/two"] = 0.1
    factors["block"] = 0.5
    assert factors["block/one"] == 0.5 and factors["block/two"] == 0.1 and factors["head"] == 1
    assert dict(factors) == {"block/two": 0.1, "block": 0.5}
    del factors["block/two"]
    assert factors["block/two"] == 0.5
    model.learning_rate_multipliers = {"head": 2}
    assert dict(factors) == {"head": 2.0} and factors["block"] == 1


@pytest.mark.parametrize("factor", [-0.1, np.nan, np.inf, "1", True, None])
def test_bad_factors_are_refused(factor):
    with pytest.raises(ValueError, match="'a' must be a finite number, 0 or more"):
        make_tanh(learning_rate_multipliers={"a": factor})


def test_unknown_layers_are_refused_with_the_nearest_names():
    inputs = keras.Input((2,))
    outputs = keras.layers.Dense(1, name="readout")(inputs)
    with pytest.raises(ValueError, match="Nearest: readout"):
        LayerwiseModel(inputs, outputs, learning_rate_multipliers={"raedout": 0.5})
    model = LayerwiseModel(inputs, outputs)
    with pytest.raises(ValueError, match="Nearest: readout"):
        model.learning_rate_multipliers["redout"] = 0.5
    with pytest.raises(ValueError, match="Nearest: readout"):
        _ = model.learning_rate_multipliers["redout"]
    with pytest.raises(ValueError, match="Nearest: readout"):
        model.learning_rate_multipliers = {"readout": 0.5, "redout": 0.5}
    assert dict(model.learning_rate_multipliers) == {}


def test_each_epoch_has_all_logs_also_without_an_update(tmp_path):
    """With gradient accumulation, an epoch may end before the first update."""
    x, y = NETWORK.data(2 * BATCH)
    model = compiled(make_tanh(), keras.optimizers.SGD(RATE, gradient_accumulation_steps=4))
    file = tmp_path / "logs.csv"
    history = fit(
        model,
        x,
        y,
        epochs=2,
        validation_data=(x, y),
        callbacks=[keras.callbacks.CSVLogger(file)],
    )
    assert {len(values) for values in history.values()} == {2}
    assert not any("norm" in name for name in history if "val_" in name)
    updates = [False, True]
    for name in ("gradient_norm/a", "update_ratio/b"):
        assert np.isfinite(history[name]).tolist() == updates
    with file.open() as lines:
        rows = list(csv.DictReader(lines))
    assert [row["gradient_norm/a"] != "nan" for row in rows] == updates
    assert set(model.evaluate(x, y, verbose=0, return_dict=True)) == {"loss"}
    assert "gradient_norm/a" in model.train_on_batch(x, y, return_dict=True)


# Gradient predictiveness.


@pytest.mark.parametrize("step_size", [True, 0.3])
def test_gradient_predictiveness_against_backpropagation_by_hand(step_size):
    x, y = NETWORK.data(3 * BATCH)
    model = compiled(make_tanh(gradient_predictiveness=step_size), keras.optimizers.SGD(RATE))
    history = fit(model, x, y)
    size = RATE if step_size is True else step_size
    weights, rule = NETWORK.weights(), oracle.sgd(RATE)
    changes, cosines = [], []
    for batch in oracle.batches(x, y, size=BATCH):
        gradients = NETWORK.gradients(weights, *batch)
        for places in NETWORK.layers:
            moved = [
                w - size * g if p in places else w
                for p, (w, g) in enumerate(zip(weights, gradients, strict=True))
            ]
            there = np.concatenate([NETWORK.gradients(moved, *batch)[p].ravel() for p in places])
            here = np.concatenate([gradients[p].ravel() for p in places])
            changes.append(np.linalg.norm(there - here) / np.linalg.norm(here))
            cosines.append(here @ there / np.linalg.norm(here) / np.linalg.norm(there))
        weights = rule(weights, gradients)
    mean = lambda values: np.mean(np.reshape(values, (3, 3)), axis=0)  # noqa: E731
    np.testing.assert_allclose(
        logged(history, "relative_gradient_change")[0], mean(changes), rtol=2e-4
    )
    np.testing.assert_allclose(logged(history, "gradient_cosine")[0], mean(cosines), rtol=1e-5)


def test_predictiveness_sees_the_same_dropout_masks():
    x, y = mixed_data()
    model = compiled(make_mixed(LayerwiseModel, gradient_predictiveness=1e-6))
    history = fit(model, x, y)
    assert (
        max(history[f"relative_gradient_change/{name}"][0] for name in ("first", "second")) < 1e-3
    )


class Tripled(LayerwiseModel):
    """Trains on another batch than the one it receives, as with augmentation."""

    def train_step(self, *arguments):
        *state, (x, y) = arguments
        return super().train_step(*state, (3 * x, y))


def test_predictiveness_compares_on_the_batch_that_the_gradient_comes_from():
    x, y = NETWORK.data(2 * BATCH)
    histories = []
    for cls, data in ((Tripled, x), (LayerwiseModel, 3 * x)):
        model = make_tanh(cls, gradient_predictiveness=0.3)
        histories.append(fit(compiled(model), data, y, epochs=2))
    own, plain = histories
    assert own.keys() == plain.keys()
    for name, values in plain.items():
        np.testing.assert_allclose(own[name], values, rtol=1e-4, atol=1e-6)


class Passing(LayerwiseModel):
    """Leaves LayerwiseModel's own step out."""

    def train_step(self, *arguments):
        return keras.Model.train_step(self, *arguments)


class ChangingBatch(keras.Model):
    def train_step(self, *arguments):
        *state, (x, y) = arguments
        return super().train_step(*state, (3 * x, y))


class BeforeAnother(LayerwiseModel, ChangingBatch):
    """A class after LayerwiseModel changes the batch."""


@pytest.mark.parametrize("cls", [Passing, BeforeAnother])
def test_predictiveness_refuses_gradients_of_an_unknown_batch_before_training(cls):
    x, y = NETWORK.data(BATCH)
    model = compiled(make_tanh(cls, gradient_predictiveness=True))
    before = model.get_weights()
    with pytest.raises(ValueError, match=r"Let it call `super\(\).train_step"):
        fit(model, x, y)
    assert_same(model.get_weights(), before)
    model = compiled(make_tanh(cls))
    assert "gradient_norm/a" in fit(model, x, y)


def test_predictiveness_sees_the_same_states_of_stateful_rnns():
    keras.utils.set_random_seed(0)
    inputs = keras.Input((5, 3), batch_size=BATCH)
    # On torch, Keras cannot train a stateful LSTM or GRU.
    rnn = keras.layers.SimpleRNN(4, stateful=True, name="rnn")
    outputs = keras.layers.Dense(1, name="head")(rnn(inputs))
    model = LayerwiseModel(inputs, outputs, gradient_predictiveness=1e-6)
    x, y = np.random.default_rng(0).normal(size=(2, 2 * BATCH, 5, 3))
    history = fit(compiled(model), x, y[:, 0, :1], epochs=2)
    assert np.max([history[f"relative_gradient_change/{name}"] for name in ("rnn", "head")]) < 1e-3
    if keras.backend.backend() != "jax":  # where Keras does not carry them through a step
        assert keras.ops.convert_to_numpy(rnn.states[0]).any()


def test_bad_step_sizes_are_refused():
    with pytest.raises(ValueError, match="a step size above 0; received -1"):
        make_tanh(gradient_predictiveness=-1)


# Beside the callbacks.


def test_works_beside_the_callbacks():
    from keras_lcb.callbacks import GradientNorms, LayerConvergence

    x, y = NETWORK.data(4 * BATCH)
    factors = {"a": 0.5, "b": 0.0}
    alone = compiled(make_tanh(learning_rate_multipliers=factors), "adam")
    beside = compiled(make_tanh(learning_rate_multipliers=factors), "adam")
    gradients, convergence = GradientNorms(per_update=True), LayerConvergence(every=1)
    history = fit(alone, x, y, epochs=2)
    found = fit(beside, x, y, callbacks=[gradients, convergence])
    for name, values in fit(beside, x, y, callbacks=[gradients, convergence]).items():
        found[name] += values
    assert_same(alone.get_weights(), beside.get_weights())
    assert found.keys() == history.keys()
    for name, values in found.items():
        np.testing.assert_allclose(values, history[name], rtol=1e-6, err_msg=name)
    run = gradients.results
    np.testing.assert_allclose(
        logged(history, "gradient_norm"), run.gradient_norm.values[1:], rtol=1e-5
    )
    assert np.all(run.update_norm.sel(layer="b").values[1:] == 0)
    distance = convergence.results.distance.sel(layer="a").values
    travelled = run.update_norm_per_update.sel(layer="a").values
    assert np.all(np.abs(np.diff(distance)) <= travelled * (1 + 1e-4) + 1e-6)
    optimizer = vars(beside.optimizer)
    assert not {"apply", "_clip_gradients", "_backend_update_step"} & set(optimizer)


# A Keras model like others.


def test_saves_loads_pickles_and_clones(tmp_path):
    x, y = NETWORK.data(BATCH)
    options = {"learning_rate_multipliers": {"b": 0.5}, "gradient_predictiveness": 0.1}
    model = compiled(make_tanh(**options), "adam")
    fit(model, x, y)
    model.learning_rate_multipliers["c"] = 0.0
    model.save(tmp_path / "model.keras")
    for copy in (
        keras.models.load_model(tmp_path / "model.keras"),
        pickle.loads(pickle.dumps(model)),
    ):
        assert isinstance(copy, LayerwiseModel)
        assert dict(copy.learning_rate_multipliers) == {"b": 0.5, "c": 0.0}
        assert copy.gradient_predictiveness == 0.1
        assert_same(copy.get_weights(), model.get_weights())
        assert_same(copy.optimizer.variables, model.optimizer.variables)
        fit(copy, x, y)
    clone = keras.models.clone_model(make_tanh(**options, progress_bar=True))
    assert isinstance(clone, LayerwiseModel) and clone.progress_bar
    assert dict(clone.learning_rate_multipliers) == {"b": 0.5}
    again = LayerwiseModel.from_config(model.get_config())
    assert again.get_config() == model.get_config()


def test_weights_files_fit_plain_models(tmp_path):
    model = make_tanh()
    model.save_weights(tmp_path / "w.weights.h5")
    plain = make_tanh(keras.Model)
    plain.set_weights([np.zeros_like(w) for w in plain.get_weights()])
    plain.load_weights(tmp_path / "w.weights.h5")
    assert_same(plain.get_weights(), model.get_weights())


@keras.saving.register_keras_serializable(package="keras_lcb_layerwise_tests")
class Net(LayerwiseModel):
    """A subclass with a call of its own."""

    def __init__(self, width=4, **options):
        super().__init__(**options)
        self.width = width
        self.hidden = keras.layers.Dense(width, "tanh", name="hidden")
        self.head = keras.layers.Dense(1, name="head")

    def call(self, inputs):
        return self.head(self.hidden(inputs))

    def get_config(self):
        return {**super().get_config(), "width": self.width}


class Written(LayerwiseModel):
    """A subclass that hands a graph to the constructor."""

    def __init__(self, width=4):
        inputs = keras.Input((4,))
        hidden = keras.layers.Dense(width, name="hidden")(inputs)
        outputs = keras.layers.Dense(1, name="head")(hidden)
        super().__init__(inputs, outputs, learning_rate_multipliers={"hidden": 0})


def test_subclasses_train_and_save(tmp_path):
    x, y = mixed_data()
    model = compiled(Net(3, learning_rate_multipliers={"hidden": 0.0}))
    history = fit(model, x, y)
    assert history["update_ratio/hidden"] == [0.0] and history["update_ratio/head"][0] > 0
    model.learning_rate_multipliers["head"] = 0.5
    model.save(tmp_path / "net.keras")
    loaded = keras.models.load_model(tmp_path / "net.keras")
    assert loaded.width == 3
    assert dict(loaded.learning_rate_multipliers) == {"hidden": 0.0, "head": 0.5}
    assert_same(loaded.get_weights(), model.get_weights())


def test_subclasses_may_be_functional_and_others_not():
    x, y = mixed_data()
    history = fit(compiled(Written()), x, y)
    assert history["update_ratio/hidden"] == [0.0] and history["update_ratio/head"][0] > 0
    assert [layer.name for layer in Written().layers[1:]] == ["hidden", "head"]
    # Keras' own way would have changed the bases that all subclasses share.
    assert [layer.name for layer in Net().layers] == ["hidden", "head"]


def test_unknown_layers_of_an_unbuilt_model_are_refused_before_training():
    x, y = mixed_data()
    model = compiled(Net(3, learning_rate_multipliers={"hiden": 0.0}))
    with pytest.raises(ValueError, match="Nearest: hidden"):
        fit(model, x, y)


def test_unfrozen_and_compiled_anew():
    x, y = NETWORK.data(BATCH)
    model = make_tanh()
    model.get_layer("a").trainable = False
    fit(compiled(model), x, y)
    model.get_layer("a").trainable = True
    history = fit(compiled(model, "adam"), x, y)
    assert history["gradient_norm/a"][0] > 0


def test_several_optimizers_in_one_are_scaled_each():
    x, y = NETWORK.data(5 * BATCH)
    rules = keras.optimizers.OptimizerMap(
        keras.optimizers.SGD(RATE), {"c/.*": keras.optimizers.SGD(RATE, momentum=0.9)}
    )
    factors = {"a": 0.0, "c": 0.5}
    model = make_tanh(learning_rate_multipliers=factors)
    compiled(model, keras.optimizers.MultiOptimizer(rules))
    history = fit(model, x, y)
    plain, heavy = oracle.sgd(RATE), oracle.sgd(RATE, 0.9)

    def rule(weights, gradients):
        return [*plain(weights, gradients)[:4], *heavy(weights, gradients)[4:]]

    training = oracle.train(
        NETWORK.gradients,
        NETWORK.weights(),
        oracle.batches(x, y, size=BATCH),
        scaled(rule, [0.0, 1.0, 0.5]),
        NETWORK.layers,
    )
    for found, expected in zip(model.get_weights(), training.weights, strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)
    gradients, _ = training.rms(0, 5)
    np.testing.assert_allclose(logged(history, "gradient_norm")[0], gradients, rtol=1e-5)


# From other models.


@pytest.mark.parametrize("kind", ["functional", "sequential"])
def test_from_model_shares_layers_and_weights(kind):
    x, y = mixed_data()
    plain = make_mixed(keras.Model)
    if kind == "sequential":
        plain = keras.Sequential([keras.Input((4,)), keras.layers.Dense(1, name="head")])
    model = LayerwiseModel.from_model(plain, learning_rate_multipliers={"head": 0.0})
    assert [v is w for v, w in zip(model.weights, plain.weights, strict=True)]
    history = fit(compiled(model), x, y)
    assert history["update_ratio/head"] == [0.0]
    np.testing.assert_array_equal(plain.predict(x, verbose=0), model.predict(x, verbose=0))


class Plain(keras.Model):
    def __init__(self, **options):
        super().__init__(**options)
        self.hidden = keras.layers.Dense(4, "tanh", name="hidden")
        self.head = keras.layers.Dense(1, name="head")

    def call(self, inputs, training=None):
        return self.head(self.hidden(inputs))


class Training(Plain):
    def train_step(self, *arguments):
        return super().train_step(*arguments)


class OfTwo(Plain):
    def call(self, first, second):
        return super().call(first + second)


def test_from_subclassed_models_takes_them_as_one_layer():
    x, y = mixed_data()
    plain = Plain(name="net")
    plain(x[:1])
    model = LayerwiseModel.from_model(plain, learning_rate_multipliers={"hidden": 0.0})
    history = fit(compiled(model), x, y)
    assert history["update_ratio/hidden"] == [0.0] and history["update_ratio/head"][0] > 0
    np.testing.assert_array_equal(plain.predict(x, verbose=0), model.predict(x, verbose=0))


@pytest.mark.parametrize(
    ("cls", "sentence"),
    [(Training, "defines its own `train_step`"), (OfTwo, "cannot be called symbolically")],
)
def test_from_model_refuses_what_it_cannot_take_over(cls, sentence):
    model = cls()
    x = mixed_data()[0][:1]
    model(*[x] * (2 if cls is OfTwo else 1))
    with pytest.raises(ValueError, match=sentence):
        LayerwiseModel.from_model(model)


def test_from_model_refuses_unbuilt_models():
    with pytest.raises(ValueError, match="is not built"):
        LayerwiseModel.from_model(keras.Sequential([keras.layers.Dense(1)]))
    with pytest.raises(ValueError, match="Expected a Keras model, but received 'm'"):
        LayerwiseModel.from_model("m")


def test_multipliers_without_names_are_refused():
    with pytest.raises(ValueError, match=r"must map names of layers to factors.* \[0.1\]"):
        Net(3, learning_rate_multipliers=[0.1])
