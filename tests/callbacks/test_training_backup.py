"""The state of a training on disk: what it holds, when it is written, and when it cannot be."""

from __future__ import annotations

import errno
import os
import warnings

import keras
import numpy as np
import pytest

import keras_lcb as lcb
from keras_lcb.callbacks import training_backup
from keras_lcb.runs import atomic
from tests.callbacks.tiny import compiled, data, dense, train
from tests.modes import BACKEND

layers = keras.layers


class StopsAt(keras.callbacks.Callback):
    def __init__(self, epoch):
        super().__init__()
        self.epoch = epoch

    def on_epoch_begin(self, epoch, logs=None):
        if epoch == self.epoch:
            raise KeyboardInterrupt


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def random_layers():
    """A model with weights that train, weights that do not, and seeds."""
    keras.utils.set_random_seed(3)
    parts = [layers.Dense(4, "tanh"), layers.BatchNormalization(), layers.Dropout(0.5, seed=1)]
    return keras.Sequential([keras.Input((6,)), *parts, layers.Dense(2)])


def optimizers():
    yield "adam", lambda: keras.optimizers.Adam(0.05)
    yield "momentum", lambda: keras.optimizers.SGD(0.05, momentum=0.9)
    yield "accumulating", lambda: keras.optimizers.Adam(0.05, gradient_accumulation_steps=3)
    scaled = keras.optimizers.LossScaleOptimizer
    yield "scaled", lambda: scaled(keras.optimizers.Adam(0.05), initial_scale=8.0)
    if BACKEND != "jax":  # on which a second `fit` with EMA fails in Keras itself
        yield "averaging", lambda: keras.optimizers.Adam(0.05, use_ema=True)


@pytest.mark.parametrize("place", ["file", "file/state"])
def test_a_file_in_the_place_of_the_folder_is_refused_before_training(tmp_path, place):
    (tmp_path / "file").write_text("in the way")
    model = compiled(random_layers())
    before = model.get_weights()
    with pytest.raises(NotADirectoryError, match="file' is a file. Choose another folder"):
        train(model, lcb.TrainingBackup(tmp_path / place))
    np.testing.assert_array_equal(model.get_weights()[0], before[0])


@pytest.mark.parametrize("optimizer", [each for _, each in optimizers()], ids=dict(optimizers()))
def test_an_interrupted_training_ends_where_an_unbroken_one_does(optimizer, tmp_path):
    whole = compiled(random_layers(), optimizer())
    train(whole, epochs=4)
    broken = compiled(random_layers(), optimizer())
    with pytest.raises(KeyboardInterrupt):
        train(broken, lcb.TrainingBackup(tmp_path), StopsAt(2), epochs=4)
    assert names(tmp_path) == [f"epoch_0000000{epoch}.weights.h5" for epoch in (1, 2)]
    anew = compiled(random_layers(), optimizer())
    train(anew, lcb.TrainingBackup(tmp_path), epochs=4)
    assert_equal(anew, whole)


def assert_equal(model, other):
    for ours, expected in zip(model.variables, other.variables, strict=True):
        np.testing.assert_allclose(
            keras.ops.convert_to_numpy(ours),
            keras.ops.convert_to_numpy(expected),
            rtol=1e-6,
            atol=1e-7,
            err_msg=expected.path,
        )


class Rounded(layers.Layer):
    """Saves its weights with less precision than they have."""

    def build(self, shape):
        self.scale = self.add_weight(shape=(shape[-1],), initializer="ones")

    def call(self, x):
        return self.scale * x

    def save_own_variables(self, store):
        store["0"] = keras.ops.cast(self.scale, "float16")


def with_lora(mode=None, dtype=None):
    keras.utils.set_random_seed(3)
    first, head = layers.Dense(4, "tanh", dtype=dtype), layers.Dense(2, trainable=False)
    model = keras.Sequential([keras.Input((6,)), first, head])
    if mode:
        first.quantize(mode)
    first.enable_lora(2)
    return model


def rounded():
    keras.utils.set_random_seed(3)
    return keras.Sequential([keras.Input((6,)), Rounded(), layers.Dense(2)])


SAVED_OTHERWISE = {
    "lora": with_lora,
    "int8": lambda: with_lora("int8"),
    "bfloat16": lambda: with_lora(dtype="bfloat16"),
    "rounded": rounded,
}


@pytest.mark.parametrize("new", SAVED_OTHERWISE.values(), ids=SAVED_OTHERWISE)
def test_weights_that_are_saved_otherwise_go_on_exactly(new, tmp_path):
    def fit(*callbacks):
        model = compiled(new(), keras.optimizers.SGD(0.1, momentum=0.9))
        train(model, *callbacks, epochs=4)
        return [keras.ops.convert_to_numpy(variable) for variable in model.variables]

    with pytest.raises(KeyboardInterrupt):
        fit(lcb.TrainingBackup(tmp_path), StopsAt(2))
    for ours, expected in zip(fit(lcb.TrainingBackup(tmp_path)), fit(), strict=True):
        np.testing.assert_array_equal(ours, expected)


def test_a_state_without_the_exact_weights_of_lora_is_refused(tmp_path, monkeypatch):
    with monkeypatch.context() as older:
        older.setattr(training_backup, "_saved_otherwise", lambda model: [])
        train(compiled(with_lora()), lcb.TrainingBackup(tmp_path, delete_after=False))
    with pytest.raises(ValueError, match="older version wrote it, without the exact weights"):
        train(compiled(with_lora()), lcb.TrainingBackup(tmp_path))


def test_averages_in_the_place_of_weights_are_refused_before_training(tmp_path):
    model = compiled(dense("a", "b"), keras.optimizers.Adam(0.05, use_ema=True))
    swap = keras.callbacks.SwapEMAWeights(swap_on_epoch=True)
    with pytest.raises(ValueError, match="Put TrainingBackup before it"):
        train(model, swap, lcb.TrainingBackup(tmp_path))
    assert int(model.optimizer.iterations) == 0


@pytest.mark.parametrize("first", [True, False])
def test_a_learning_rate_that_is_set_after_the_state_was_written_gets_a_warning(tmp_path, first):
    plateau, backup = keras.callbacks.ReduceLROnPlateau("loss"), lcb.TrainingBackup(tmp_path)
    callbacks = [backup, plateau] if first else [plateau, backup]
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        train(compiled(dense("a", "b")), *callbacks)
    assert any("Put TrainingBackup after it" in str(each.message) for each in caught) == first


@pytest.mark.skipif(BACKEND == "jax", reason="a second `fit` with EMA fails in Keras itself")
def test_records_go_on_where_averages_replace_weights_between_updates(tmp_path):
    """The weights at the end of an epoch are not those of the last record, at the same update."""

    def fit(folder, *callbacks):
        options = {"use_ema": True, "ema_overwrite_frequency": 2, "gradient_accumulation_steps": 3}
        model = compiled(dense("a", "b"), keras.optimizers.Adam(0.01, **options))
        convergence = lcb.LayerConvergence(every=3, backup=folder)
        backup = lcb.TrainingBackup(folder / "state")
        train(model, convergence, backup, *callbacks, epochs=4, batches=5)
        return convergence.results

    with pytest.raises(KeyboardInterrupt):
        fit(tmp_path / "broken", StopsAt(2))
    resumed, whole = fit(tmp_path / "broken"), fit(tmp_path / "whole")
    assert resumed.step.values.tolist() == whole.step.values.tolist() == [0, 3, 6]
    np.testing.assert_allclose(resumed.distance, whole.distance, rtol=1e-5, atol=1e-6)


def test_states_of_rnns_are_state(tmp_path):
    """They go on from one batch to the next, and from one epoch to the next."""
    random = np.random.default_rng(0)
    x, y = random.normal(size=(16, 5, 3)), random.normal(size=(16, 2))

    def new():
        keras.utils.set_random_seed(1)
        # On torch, Keras cannot train a stateful LSTM or GRU.
        parts = [layers.SimpleRNN(4, stateful=True), layers.Dense(2)]
        model = keras.Sequential([keras.Input((5, 3), batch_size=8), *parts])
        return compiled(model, keras.optimizers.SGD(0.1))

    def fit(model, *callbacks):
        options = {"batch_size": 8, "epochs": 4, "shuffle": False, "verbose": 0}
        model.fit(x, y, callbacks=[*callbacks], **options)

    whole = new()
    fit(whole)
    with pytest.raises(KeyboardInterrupt):
        fit(new(), lcb.TrainingBackup(tmp_path), StopsAt(2))
    anew = new()
    fit(anew, lcb.TrainingBackup(tmp_path))
    assert_equal(anew, whole)


def test_it_goes_on_at_the_right_epoch_once(tmp_path):
    model = compiled(dense("a", "b"))
    backup = lcb.TrainingBackup(tmp_path / "state")
    with pytest.raises(KeyboardInterrupt):
        train(model, backup, StopsAt(2))
    assert fitted(model, backup, epochs=3) == [2]
    assert not (tmp_path / "state").exists()
    assert fitted(model, backup, epochs=3) == [0, 1, 2]
    assert fitted(model, epochs=2) == [0, 1]


def fitted(model, *callbacks, epochs):
    x, y = data(count=4)
    return model.fit(x, y, 2, epochs, verbose=0, callbacks=list(callbacks)).epoch


def test_kept_states_are_gone_on_from_or_there_is_nothing_to_do(tmp_path):
    model = compiled(dense("a", "b"))
    backup = lcb.TrainingBackup(tmp_path, delete_after=False)
    assert fitted(model, backup, epochs=3) == [0, 1, 2]
    assert names(tmp_path) == [f"epoch_0000000{epoch}.weights.h5" for epoch in (2, 3)]
    weights = model.get_weights()
    again = compiled(dense("a", "b"))
    assert fitted(again, backup, epochs=3) == []
    for ours, expected in zip(again.get_weights(), weights, strict=True):
        np.testing.assert_array_equal(ours, expected)
    assert fitted(again, backup, epochs=5) == [3, 4]
    loaded = dense("a", "b")
    loaded.load_weights(tmp_path / names(tmp_path)[-1])  # a state is a file of weights, too
    np.testing.assert_array_equal(loaded.get_weights()[0], again.get_weights()[0])


@pytest.mark.parametrize("last", [False, True])
def test_records_go_on_beside_it_in_any_order(last, tmp_path):
    def callbacks(folder):
        convergence = lcb.LayerConvergence(backup=folder)
        state = lcb.TrainingBackup(folder / "state", delete_after=False)
        return convergence, [convergence, state] if last else [state, convergence]

    expected, others = callbacks(tmp_path / "whole")
    train(compiled(dense("a", "b")), *others, epochs=4)
    _, others = callbacks(tmp_path / "broken")
    with pytest.raises(KeyboardInterrupt):
        train(compiled(dense("a", "b")), *others, StopsAt(3), epochs=4)
    (tmp_path / "broken" / "state" / "epoch_00000003.weights.h5").unlink()
    convergence, others = callbacks(tmp_path / "broken")
    train(compiled(dense("a", "b")), *others, epochs=4)
    np.testing.assert_array_equal(convergence.results.step, expected.results.step)
    np.testing.assert_allclose(
        convergence.results.distance, expected.results.distance, rtol=1e-5, atol=1e-6
    )


def kept(tmp_path):
    train(compiled(dense("a", "b")), lcb.TrainingBackup(tmp_path, delete_after=False))
    return sorted(tmp_path.iterdir())


def test_a_damaged_state_is_passed_over(tmp_path):
    older, newest = kept(tmp_path)
    content = bytearray(newest.read_bytes())
    content[len(content) // 2] ^= 1
    newest.write_bytes(content)
    model = compiled(dense("a", "b"))
    with pytest.warns(UserWarning, match="00003.weights.h5' is damaged, and is passed over"):
        assert fitted(model, lcb.TrainingBackup(tmp_path, delete_after=False), epochs=3) == [2]
    for path in (older, newest):
        path.write_bytes(path.read_bytes()[:-1])
    with pytest.warns(UserWarning), pytest.raises(ValueError, match="No state in .* can be read"):
        fitted(model, lcb.TrainingBackup(tmp_path), epochs=3)


def test_the_state_of_another_model_is_refused_before_it_is_read(tmp_path):
    kept(tmp_path)
    other = compiled(dense("a", "b", "c"))
    weights = other.get_weights()
    with pytest.raises(ValueError, match="not hold the state of this model.*other shapes"):
        fitted(other, lcb.TrainingBackup(tmp_path), epochs=3)
    for now, before in zip(other.get_weights(), weights, strict=True):
        np.testing.assert_array_equal(now, before)
    with pytest.raises(ValueError, match="state of this model and optimizer .*Skipping"):
        sgd = compiled(dense("a", "b"), keras.optimizers.SGD(0.1))
        fitted(sgd, lcb.TrainingBackup(tmp_path), epochs=3)


@pytest.mark.skipif(BACKEND != "tensorflow", reason="the others build the model before training")
def test_a_model_without_weights_is_refused(tmp_path):
    class Unbuilt(keras.Model):
        def __init__(self):
            super().__init__()
            self.layer = layers.Dense(2)

        def call(self, inputs):
            return self.layer(inputs)

    with pytest.raises(ValueError, match="not built yet. Call the model on one batch.* 'dense"):
        fitted(compiled(Unbuilt()), lcb.TrainingBackup(tmp_path), epochs=1)


def test_on_a_full_disk_training_goes_on_and_the_last_states_stay(tmp_path, monkeypatch):
    def full(*arguments):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def fill_the_disk(epoch, logs):
        if epoch == 1:
            monkeypatch.setattr(atomic.os, "fsync", full)

    filling = keras.callbacks.LambdaCallback(on_epoch_begin=fill_the_disk)
    model = compiled(dense("a", "b"))
    with pytest.warns(UserWarning, match="no space left.*goes on without a new state") as warned:
        train(model, filling, lcb.TrainingBackup(tmp_path, delete_after=False), epochs=4)
    assert sum("TrainingBackup" in str(each.message) for each in warned) == 1
    assert int(model.optimizer.iterations) == 8
    assert names(tmp_path) == ["epoch_00000001.weights.h5"]


def test_leftovers_of_a_killed_process_go(tmp_path):
    (tmp_path / ".epoch_00000009.weights.h5.0.tmp").write_bytes(b"part")
    (tmp_path / "notes.txt").write_text("mine")
    fitted(compiled(dense("a", "b")), lcb.TrainingBackup(tmp_path), epochs=1)
    assert names(tmp_path) == ["notes.txt"]


class WithSpare(keras.Model):
    """Has a layer that its `call` does not reach."""

    def __init__(self):
        super().__init__(name="spare")
        keras.utils.set_random_seed(3)
        self.a, self.b = layers.Dense(4, name="a"), layers.Dense(2, name="b")
        self.aux = layers.Dense(4, name="aux")

    def call(self, x):
        return self.b(self.a(x))


def with_spare():
    model = WithSpare()
    model(data()[0])
    return compiled(model)


@pytest.mark.filterwarnings("ignore:`build\\(\\)` was called on layer")
def test_layers_that_are_never_called_may_be_unbuilt(tmp_path):
    whole = with_spare()
    train(whole, epochs=3)
    with pytest.raises(KeyboardInterrupt):
        train(with_spare(), lcb.TrainingBackup(tmp_path), StopsAt(2), epochs=3)
    anew = with_spare()
    train(anew, lcb.TrainingBackup(tmp_path), epochs=3)
    for one, other in zip(anew.get_weights(), whole.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)


def test_layers_that_the_first_step_would_build_are_named(tmp_path):
    class Built(WithSpare):
        def build(self, shape):
            self.a.build(shape)
            self.built = True

        def call(self, x):
            raise ValueError("no symbolic call")

    model = compiled(Built())
    model.build((None, 6))
    backup = lcb.TrainingBackup(tmp_path)
    backup.set_model(model)
    with pytest.raises(ValueError, match="'spare' is not built yet.*Not built are: 'b', 'aux'"):
        backup.on_train_begin()
