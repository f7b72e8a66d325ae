"""What is observed of a training, against formulas written out."""

from __future__ import annotations

import keras
import numpy as np
import pytest

from keras_lcb import synthetic, vision
from keras_lcb.experiments.engines import functions, images
from keras_lcb.experiments.engines.midway import DISTANCE_TO_MIDWAY


def hsic(one, other):
    """The unbiased estimate, as Song et al. (2012) write it."""
    k, m = (values @ values.T * (1 - np.eye(len(values))) for values in (one, other))
    n = len(k)
    between = k.sum() * m.sum() / ((n - 1) * (n - 2)) - 2 * (k @ m).sum() / (n - 2)
    return (np.trace(k @ m) + between) / (n * (n - 3))


def cka(one, other):
    """Linear CKA as Nguyen et al. (2020) estimate it."""
    return hsic(one, other) / np.sqrt(hsic(one, one) * hsic(other, other))


CONFIG = vision.Config(depth=3, width=4, updates=8, record_every=2)


def test_images_are_observed_as_they_train():
    run = images.run(CONFIG)
    plain = vision.run(CONFIG)
    np.testing.assert_array_equal(run.distance, plain.distance)  # observing changes nothing
    assert run.similarity.sel(step=8).values == pytest.approx(1.0)
    assert (run.similarity.sel(step=0) < 1).all()
    midway = run[DISTANCE_TO_MIDWAY]
    assert (midway.sel(step=4) == 0).all() and midway.sel(step=[6, 8]).isnull().all()


def test_the_distance_midway_is_to_where_a_training_of_half_the_length_ends():
    half = vision.run(vision.Config(depth=3, width=4, updates=4, record_every=2))
    midway = images.run(CONFIG)[DISTANCE_TO_MIDWAY].sel(step=[0, 2, 4])
    np.testing.assert_allclose(midway, half.distance, rtol=1e-4, atol=1e-6)


def test_similarity_is_that_of_the_model_s_outputs():
    kept = []

    class Keep(keras.callbacks.Callback):
        def on_train_begin(self, logs=None):
            self.on_epoch_end(-1)

        def on_epoch_end(self, epoch, logs=None):
            outputs = keras.Model(self.model.inputs, self.model.get_layer("conv_1").output)
            kept.append(outputs.predict(probe, verbose=0).reshape(len(probe), -1))

    data = vision.load("digits", batch_size=images.PROBES, seed=0)
    probe = next(iter(data.train))[0].numpy()
    vision.run(CONFIG, callbacks=[Keep()])
    expected = [cka(now.astype(float), kept[-1].astype(float)) for now in kept]
    found = images.run(CONFIG).similarity.sel(layer="conv_1")
    np.testing.assert_allclose(found, expected, rtol=1e-4)


def test_functions_are_observed_as_they_train():
    config = synthetic.Config(
        depth=2, width=8, points=64, batch_size=16, updates=8, record_every=2, residual=False
    )
    run = functions.run(config)
    np.testing.assert_array_equal(run.distance, synthetic.run(config).distance)
    assert run.similarity.sel(step=8).values == pytest.approx(1.0)
    assert "frequency_error" in run
