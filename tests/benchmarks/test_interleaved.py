import gc
import time

import keras
import numpy as np
import pytest

from benchmarks.interleaved import Timings, Variant, ratio, time_variants


def timings(epochs):
    """Timings whose processor time is twice the wall time."""
    epochs = np.stack([epochs, 2 * np.asarray(epochs)], axis=-1)
    return Timings(epochs[0, 0], epochs[:, 0], epochs, np.zeros_like(epochs))


def test_ratio_compares_within_each_round():
    # The machine is four times slower in the second round, and both variants pay for it.
    plain = timings([[1.0, 3.0], [8.0, 8.0], [2.0, 2.0]])
    variant = timings([[3.0, 3.0], [12.0, 12.0], [4.0, 5.0]])
    result = ratio(variant, plain)
    assert result.median == 1.5
    assert (result.lower, result.upper) == (1.5, (1.5 + 2.25) / 2)
    assert result.fastest == 3.0


def test_ratio_of_processor_time_reads_the_other_clock():
    plain = timings([[1.0], [1.0]])
    epochs = plain.epochs * [1.0, 3.0]
    variant = Timings(epochs[0, 0], epochs[:, 0], epochs, plain.hooks)
    assert ratio(variant, plain).median == 1.0
    assert ratio(variant, plain, clock=1).median == 3.0


class Watch(keras.callbacks.Callback):
    """Notes what it sees at the end of an epoch, and waits there."""

    def __init__(self, name, seconds, log):
        super().__init__()
        self.name = name
        self.seconds = seconds
        self.log = log

    def on_epoch_end(self, epoch, logs=None):
        self.log.append((self.name, epoch, gc.isenabled()))
        time.sleep(self.seconds)


def model():
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    model.compile("sgd", "mse")
    return model


@pytest.fixture(scope="module")
def measured():
    log = []
    variants = {
        "quick": Variant(model(), lambda: [Watch("quick", 0.0, log)]),
        "slow": Variant(model(), lambda: [Watch("slow", 0.1, log)]),
    }
    data = np.ones((2, 2), "float32"), np.ones((2, 1), "float32")
    return time_variants(variants, data, batch_size=2, rounds=4, epochs=1), log


def test_every_variant_is_timed_in_every_round(measured):
    times, _ = measured
    for variant in times.values():
        assert variant.epochs.shape == variant.hooks.shape == (4, 1, 2)
        assert variant.starts.shape == (4, 2)


def test_time_between_epochs_is_told_apart(measured):
    times, _ = measured
    hooks = times["slow"].hooks[..., 0]
    assert (hooks >= 0.1).all()
    assert (hooks <= times["slow"].epochs[..., 0]).all()
    assert np.median(times["quick"].hooks[..., 0]) < 0.1


def test_compilation_is_in_the_first_start_only(measured):
    times, _ = measured
    if keras.backend.backend() != "torch":  # which compiles nothing
        assert times["quick"].first_start[0] > np.median(times["quick"].starts[:, 0])


def test_order_changes_from_round_to_round(measured):
    _, log = measured
    order = [name for name, epoch, _ in log if epoch == 0][2:]  # after the warm-up
    rounds = {tuple(order[i : i + 2]) for i in range(0, len(order), 2)}
    assert rounds == {("quick", "slow"), ("slow", "quick")}


def test_garbage_is_collected_outside_the_measurement(measured):
    _, log = measured
    assert not any(enabled for *_, enabled in log)
    assert gc.isenabled()
