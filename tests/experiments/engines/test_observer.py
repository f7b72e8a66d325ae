"""What is observed of a training, against formulas written out."""

from __future__ import annotations

import keras
import numpy as np
import pytest

from keras_lcb import synthetic, vision
from keras_lcb.experiments.engines import functions, images
from keras_lcb.experiments.engines.observer import DISTANCE_TO_MIDWAY, unit_gram


def cka(one, other):
    """Linear CKA as Kornblith et al. (2019) write it: ‖YᵀX‖² / (‖XᵀX‖ ‖YᵀY‖), centred."""
    one, other = (values - values.mean(axis=0) for values in (one, other))
    norm = np.linalg.norm
    return norm(other.T @ one) ** 2 / (norm(one.T @ one) * norm(other.T @ other))


def test_products_of_unit_grams_are_cka():
    one, other = np.random.default_rng(0).normal(size=(2, 20, 7))
    found = np.sum(unit_gram(one) * unit_gram(other))
    assert found == pytest.approx(cka(one, other), rel=1e-5)
    assert np.sum(unit_gram(one) * unit_gram(one + 5.0)) == pytest.approx(1.0)
    assert np.isnan(unit_gram(np.ones((4, 2)))).all()


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
