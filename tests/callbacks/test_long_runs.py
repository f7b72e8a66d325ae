"""Long runs: what grows with them lies in a temporary file, and says the same as in memory."""

import keras
import numpy as np
import pytest

import keras_lcb as lcb
from keras_lcb.training import spool


def train(in_memory, monkeypatch, backup=None):
    monkeypatch.setattr(spool, "IN_MEMORY", in_memory)
    keras.utils.set_random_seed(0)
    layers = [keras.layers.Dense(8, activation="tanh", name="a"), keras.layers.Dense(1, name="b")]
    model = keras.Sequential([keras.Input((4,)), *layers])
    model.compile(keras.optimizers.SGD(0.1), "mse")
    x = np.random.default_rng(0).normal(size=(64, 4)).astype("float32")
    convergence = lcb.LayerConvergence(every=3, memory="sketch", buckets=16, backup=backup)
    gradients = lcb.GradientNorms(every=3, per_update=True, backup=backup)
    seen = []
    look = keras.callbacks.LambdaCallback(
        on_epoch_end=lambda *_: seen.append((gradients.results, convergence.results))
    )
    callbacks = [convergence, gradients, look]
    model.fit(x, x[:, :1], batch_size=8, epochs=3, verbose=0, callbacks=callbacks)
    return lcb.collect(convergence, gradients).drop_vars("wall_time"), seen


def test_runs_in_a_file_equal_those_in_memory(monkeypatch):
    in_file, seen = train(0, monkeypatch)
    in_memory, seen_in_memory = train(10**9, monkeypatch)
    assert in_file.equals(in_memory)
    assert in_file.sizes["update"] == 24 and in_file.sizes["step"] == 9
    for one, other in zip(seen, seen_in_memory, strict=True):
        for early, same in zip(one, other, strict=True):
            assert early.drop_vars("wall_time").equals(same.drop_vars("wall_time"))


def test_results_of_single_updates_are_not_loaded(monkeypatch):
    _, seen = train(0, monkeypatch)
    values = seen[-1][0].gradient_norm_per_update.variable._data
    while not isinstance(values, np.memmap):
        assert values is not None, "the values are in memory"
        values = values.base


@pytest.mark.parametrize("in_memory", [0, 10**9])
def test_a_backup_holds_and_restores_what_lies_in_a_file(in_memory, monkeypatch, tmp_path):
    whole, _ = train(in_memory, monkeypatch, backup=tmp_path)
    again, _ = train(in_memory, monkeypatch, backup=tmp_path)  # begins anew: other weights
    assert again.equals(whole)
