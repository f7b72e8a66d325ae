import keras
import numpy as np
import pytest
from keras import layers

import keras_lcb as lcb
from tests.freezing.conftest import EPOCHS, Weights, data, network, train, weights_of
from tests.freezing.test_freeze_converged import OPTIMIZERS, freeze_linear


def train_in_stages(model, freeze, *callbacks, **options):
    x, y = data()
    options = {"shuffle": False, "verbose": 0, "epochs": EPOCHS, "batch_size": 4} | options
    return lcb.fit_in_stages(model, x, y, freeze, callbacks=list(callbacks), **options)


def same(one, other, **tolerance):
    for path, value in weights_of(one).items():
        np.testing.assert_allclose(weights_of(other)[path], value, **tolerance)


@pytest.mark.parametrize("name", ["averages", "accumulation"])
def test_stages_train_as_one_fit_does(name):
    model, staged = network(OPTIMIZERS[name]()), network(OPTIMIZERS[name]())
    history = train(model, freeze_linear())
    found = train_in_stages(staged, freeze_linear())
    same(model, staged, rtol=1e-6, atol=1e-7)
    assert found.epoch == history.epoch
    np.testing.assert_allclose(found.history["loss"], history.history["loss"], rtol=1e-6)
    assert staged.history is found


def test_callbacks_see_one_training():
    class Counts(keras.callbacks.Callback):
        seen = []

        def on_train_begin(self, logs=None):
            self.seen.append("begin")

        def on_train_end(self, logs=None):
            self.seen.append("end")

        def on_epoch_begin(self, epoch, logs=None):
            self.seen.append(epoch)

        def on_train_batch_end(self, batch, logs=None):
            assert self.params["epochs"] == EPOCHS
            self.seen.append("batch")

    counts = Counts()
    train_in_stages(network(), freeze_linear(), counts)
    assert [each for each in counts.seen if each != "batch"] == ["begin", *range(EPOCHS), "end"]
    assert counts.seen.count("batch") == 4 * EPOCHS


def test_recorders_continue_over_stages():
    results = []
    for trained in (train, train_in_stages):
        freeze, gradients, convergence = (
            freeze_linear(),
            lcb.GradientNorms(),
            lcb.LayerConvergence(),
        )
        if trained is train:
            train(network(), freeze, gradients, convergence)
        else:
            train_in_stages(network(), freeze, gradients, convergence)
        results.append(lcb.collect(convergence, gradients, freeze))
    one, other = results
    for name in ("gradient_norm", "update_norm", "distance", "frozen", "loss"):
        np.testing.assert_allclose(one[name], other[name], rtol=1e-5, atol=1e-7, err_msg=name)


def test_a_training_that_another_callback_stops_has_ended():
    stop = keras.callbacks.EarlyStopping("loss", patience=0, mode="max", baseline=100.0)
    history = train_in_stages(network(), freeze_linear(), stop)
    assert history.epoch == [0, 1]  # the first stage has three


def residual():
    """Two branches and a skip connection, so that two tensors cross the cut."""
    keras.utils.set_random_seed(3)
    start = keras.Input((6,))
    a = layers.Dense(4, activation="tanh", name="a")(start)
    norm = layers.BatchNormalization(name="a_norm")(a)
    b = layers.Add()([layers.Dense(4, activation="tanh", name="b")(norm), a])
    b = layers.Dropout(0.3, seed=1)(b)
    model = keras.Model(start, layers.Dense(2, name="c")(b))
    model.compile(
        keras.optimizers.AdamW(0.05),
        "mse",
        metrics=["mae"],
        run_eagerly=keras.backend.backend() != "torch",
    )
    return model


@pytest.mark.parametrize(("build", "disk"), [(network, False), (residual, True)])
def test_a_cache_changes_nothing_but_the_time(build, disk, tmp_path):
    x, y = data()
    options = {"shuffle": True, "validation_data": (x[:4], y[:4])}
    keras.utils.set_random_seed(5)
    plain = build()
    history = train_in_stages(plain, freeze_linear(), **options)
    keras.utils.set_random_seed(5)
    cached, weights = build(), Weights()
    freeze = freeze_linear(cache=tmp_path if disk else True)
    found = train_in_stages(cached, freeze, weights, **options)
    same(plain, cached, rtol=1e-5, atol=1e-6)
    assert found.history.keys() == history.history.keys()
    for name, values in history.history.items():
        np.testing.assert_allclose(found.history[name], values, rtol=1e-4, err_msg=name)
    assert weights.stay("a", since=3)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("disk", [False, True])
def test_a_cache_keeps_integers_and_booleans_as_they_are(disk, tmp_path):
    x, y = data()
    ids = (2**25 + 1 + 2 * np.arange(len(x))).astype("int32")  # float32 cannot hold them
    inputs = [x, ids, ids % 4 < 2]

    class Hashed(layers.Layer):
        def build(self, shape):
            self.table = self.add_weight(shape=(7, 4), initializer="glorot_uniform", name="table")

        def call(self, ids, among):
            rows = keras.ops.take(self.table, keras.ops.mod(ids, 7), axis=0)
            return keras.ops.where(among[:, None], rows, -rows)

    def trained(cache):
        keras.utils.set_random_seed(3)
        features, numbers = keras.Input((6,)), keras.Input((), dtype="int32")
        among = keras.Input((), dtype="bool")
        low = layers.Dense(4, name="low", dtype="mixed_float16")(features)
        low = layers.Dense(4, name="middle")(low)
        sums = layers.Add()([low, Hashed(name="hashed")(numbers, among)])
        model = keras.Model([features, numbers, among], layers.Dense(2, name="top")(sums))
        model.compile("sgd", "mse", run_eagerly=keras.backend.backend() != "torch")
        freeze = freeze_linear(cache=cache, layers=["low", "middle", "top"])
        options = {"shuffle": False, "verbose": 0, "epochs": EPOCHS, "batch_size": 4}
        history = lcb.fit_in_stages(model, inputs, y, freeze, **options)
        return history.history["loss"], weights_of(model)

    losses, weights = trained(False)
    found, cached = trained(tmp_path if disk else True)
    np.testing.assert_allclose(found, losses, rtol=1e-5)
    for path, value in weights.items():
        np.testing.assert_allclose(cached[path], value, rtol=1e-5, atol=1e-6, err_msg=path)


def test_a_cache_saves_the_forward_pass_of_frozen_layers():
    calls = []

    class Counted(layers.Dense):
        def call(self, inputs):
            calls.append(1)
            return super().call(inputs)

    def trained(cache):
        keras.utils.set_random_seed(3)
        chain = [Counted(4, name="a"), layers.Dense(4, name="b"), layers.Dense(2, name="c")]
        model = keras.Sequential([keras.Input((6,)), *chain])
        model.compile("sgd", "mse", run_eagerly=keras.backend.backend() != "torch")
        calls.clear()
        train_in_stages(model, freeze_linear(cache=cache))
        return len(calls)

    without = trained(False)
    # 3 epochs of 4 batches are saved. 4 batches fill the cache, and 2 calls check the layers.
    assert trained(True) <= without - 12 + 6


@pytest.mark.parametrize("x", [iter([]), [np.ones((4, 6)), np.ones((4, 6))]])
def test_a_cache_needs_samples(x):
    with pytest.raises(ValueError, match="`x` must be an array"):
        lcb.fit_in_stages(network(), x, None, freeze_linear(cache=True), epochs=6)


def test_a_cache_needs_a_model_that_can_be_cut():
    class Own(keras.Model):
        def __init__(self):
            super().__init__()
            self.a, self.b = layers.Dense(4, name="a"), layers.Dense(2, name="b")

        def call(self, x):
            return self.b(self.a(x))

    x, y = data()
    model = Own()
    model(x)
    model.compile("sgd", "mse")
    with pytest.raises(ValueError, match="cannot be cut"):
        lcb.fit_in_stages(model, x, y, freeze_linear(cache=True), epochs=6)


def test_a_cache_refuses_augmentation():
    noise = layers.GaussianNoise(0.1)
    model = keras.Sequential([keras.Input((6,)), noise, layers.Dense(4, name="a")])
    model.add(layers.Dense(2, name="b"))
    model.compile("sgd", "mse")
    x, y = data()
    with pytest.raises(ValueError, match="augmentation"):
        lcb.fit_in_stages(model, x, y, freeze_linear(cache=True), epochs=6)


def test_validation_split_with_a_cache_is_refused():
    with pytest.raises(ValueError, match="validation_data"):
        train_in_stages(network(), freeze_linear(cache=True), validation_split=0.5)


def test_freeze_must_be_a_freeze_converged():
    with pytest.raises(ValueError, match="received GradientNorms"):
        lcb.fit_in_stages(network(), *data(), lcb.GradientNorms())
