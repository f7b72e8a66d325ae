"""A run's `loss` is the mean since the last record, if Keras knows a mean."""

from __future__ import annotations

import itertools

import keras
import numpy as np
import pytest

import keras_lcb as lcb
from tests.modes import BACKEND

X = np.random.default_rng(0).normal(size=(20, 3)).astype("float32")
Y = np.random.default_rng(1).normal(size=(20, 1)).astype("float32")

of_batches = pytest.mark.skipif(
    BACKEND == "jax", reason="on JAX, the loss is known within the trace of the gradient only"
)


class Reporting(keras.Sequential):
    """Reports the loss of each batch, or a mean of its own."""

    def __init__(self, mean):
        super().__init__([keras.Input((3,)), keras.layers.Dense(1, name="d")])
        self.mean = keras.metrics.Mean(name="total") if mean else None

    def compute_loss(self, *args, **kwargs):
        self.of_batch = super().compute_loss(*args, **kwargs)
        return self.of_batch

    def train_step(self, data):
        super().train_step(data)
        if self.mean is None:
            return {"loss": self.of_batch, "other": 0.0}
        self.mean.update_state(self.of_batch)
        return {"loss": self.mean.result(), "other": 0.0}


def losses(mean):
    """Trains for two epochs of 5 batches; returns each batch's reported loss, and the run's."""
    keras.utils.set_random_seed(0)
    model = Reporting(mean)
    model.compile(keras.optimizers.SGD(0.1), "mse")
    reported = []
    watch = keras.callbacks.LambdaCallback(
        on_train_batch_end=lambda batch, logs: reported.append(float(logs["loss"]))
    )
    convergence = lcb.LayerConvergence(every=2)
    model.fit(X, Y, 4, 2, verbose=0, shuffle=False, callbacks=[convergence, watch])
    return reported, convergence.results.loss.sel(step=[2, 4, 6, 8, 10]).values


@of_batches
@pytest.mark.filterwarnings("error:Converting a tensor")  # on torch
def test_the_loss_of_each_batch_is_no_running_mean():
    reported, recorded = losses(mean=False)
    np.testing.assert_allclose(recorded, np.array(reported)[[1, 3, 5, 7, 9]], rtol=1e-6)


@of_batches
def test_a_mean_by_another_name_is_a_running_mean():
    each, _ = losses(mean=False)
    _, recorded = losses(mean=True)
    np.testing.assert_allclose(recorded, np.reshape(each, (5, 2)).mean(axis=1), rtol=1e-4)


class Unaware(Reporting):
    """Never updates Keras' mean loss. So Keras reports the loss 0 for the epoch."""

    def train_step(self, data):
        super().train_step(data)
        self._loss_tracker.reset_state()
        return {"loss": self.of_batch}


@of_batches
@pytest.mark.parametrize("every", [1, 3, "epoch"])
def test_a_mean_of_nothing_is_no_loss(every):
    """Nothing tells the loss of an epoch then."""
    keras.utils.set_random_seed(0)
    model = Unaware(mean=False)
    model.compile(keras.optimizers.SGD(0.1), "mse")
    reported = [np.nan]
    watch = keras.callbacks.LambdaCallback(
        on_train_batch_end=lambda batch, logs: reported.append(float(logs["loss"]))
    )
    convergence = lcb.LayerConvergence(every=every)
    history = model.fit(X, Y, 4, 2, verbose=0, shuffle=False, callbacks=[convergence, watch])
    assert history.history == {"loss": [0.0, 0.0]}
    run = convergence.results
    if every == "epoch":
        assert "loss" not in run
    else:
        at_batches = np.where(run.step % every, np.nan, np.array(reported)[run.step])
        np.testing.assert_allclose(run.loss, at_batches, rtol=1e-6)


class Uneven(keras.utils.PyDataset):
    """Batches of different sizes, with the losses 100 and 1 in turn."""

    sizes = (1, 30, 2, 30, 1, 30)

    def __len__(self):
        return len(self.sizes)

    def __getitem__(self, place):
        count = self.sizes[place]
        return np.ones((count, 3), "float32"), np.full((count, 1), 1.0 if place % 2 else 10.0)


@pytest.mark.parametrize("validation", [None, Uneven()], ids=["alone", "validated"])
@pytest.mark.parametrize("every", [1, 2, 4, "epoch"])
def test_batches_of_different_sizes_count_as_the_samples_that_they_are(every, validation):
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(1, kernel_initializer="zeros")])
    model.compile(keras.optimizers.SGD(0.0), "mse", metrics=["mae"])
    convergence = lcb.LayerConvergence(every=every)
    fit = {"epochs": 2, "shuffle": False, "verbose": 0, "validation_data": validation}
    model.fit(Uneven(), callbacks=[convergence], **fit)
    run = convergence.results
    sizes, losses = np.array(Uneven.sizes * 2, float), np.array([100.0, 1.0] * 6)
    steps = run.step.values
    means = [
        np.average(losses[since:step], weights=sizes[since:step])
        for since, step in itertools.pairwise(steps)
    ]
    np.testing.assert_allclose(run.loss.values[1:], means, rtol=1e-4)


@pytest.mark.parametrize("kind", [keras.Model, lcb.LayerwiseModel])
@pytest.mark.parametrize("first", [True, False])
def test_an_evaluation_within_an_epoch_is_no_part_of_the_loss(kind, first):
    inputs = keras.Input((3,))
    outputs = keras.layers.Dense(1, kernel_initializer="zeros")(inputs)
    model = kind(inputs, outputs)
    model.compile(keras.optimizers.SGD(0.0), "mse")

    def evaluate(batch, logs):
        if batch in (2, 3):
            model.evaluate(X, np.full((20, 1), 30.0), verbose=0)

    evaluation = keras.callbacks.LambdaCallback(on_train_batch_end=evaluate)
    convergence = lcb.LayerConvergence(every=2)
    callbacks = [evaluation, convergence] if first else [convergence, evaluation]
    model.fit(Uneven(), epochs=2, shuffle=False, verbose=0, callbacks=callbacks)
    run = convergence.results
    sizes, losses = np.array(Uneven.sizes * 2, float), np.array([100.0, 1.0] * 6)
    means = [np.average(losses[at : at + 2], weights=sizes[at : at + 2]) for at in range(0, 12, 2)]
    np.testing.assert_allclose(run.loss.values[1:], means, rtol=1e-4)


def test_batches_after_the_last_update_of_an_epoch_count_to_its_record():
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(1, kernel_initializer="zeros")])
    model.compile(keras.optimizers.SGD(0.0, gradient_accumulation_steps=4), "mse")
    by_epochs, by_updates = lcb.LayerConvergence(), lcb.GradientNorms(every=1)
    fit = {"epochs": 2, "shuffle": False, "verbose": 0}
    model.fit(Uneven(), callbacks=[by_epochs, by_updates], **fit)
    run = lcb.collect(by_epochs, by_updates)  # refuses different losses
    sizes, losses = np.array(Uneven.sizes * 2, float), np.array([100.0, 1.0] * 6)
    means = [np.average(losses[part], weights=sizes[part]) for part in (np.s_[:6], np.s_[6:8])]
    assert run.step.values.tolist() == [0, 1, 2, 3]
    np.testing.assert_allclose(run.loss.values[1:3], means, rtol=1e-4)
