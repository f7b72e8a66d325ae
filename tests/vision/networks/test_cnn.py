from __future__ import annotations

import keras
import numpy as np
import pytest

from keras_lcb import vision
from tests.vision.networks.declared import declared


def test_layers_are_named_by_depth():
    model = declared(vision.build_cnn, (8, 8, 1), 10, depth=3, normalization=True)
    names = [layer.name for layer in model.layers if layer.weights]
    assert names == ["conv_0", "norm_0", "conv_1", "norm_1", "conv_2", "norm_2", "head"]
    assert model.output_shape == (None, 10)


@pytest.mark.parametrize("side, depth, left", [(8, 8, 4), (32, 8, 4), (32, 2, 16), (7, 8, 7)])
def test_images_are_halved_down_to_four_pixels(side, depth, left):
    model = declared(vision.build_cnn, (side, side, 3), 10, depth=depth, width=2)
    assert model.get_layer("average").input.shape[1:3] == (left, left)


def test_residual_blocks_add_their_input():
    model = vision.build_cnn((8, 8, 1), 4, depth=2, residual=True)
    conv_1 = model.get_layer("conv_1")
    conv_1.set_weights([np.zeros_like(weight) for weight in conv_1.get_weights()])
    stem = keras.Model(model.input, model.get_layer("relu_0").output)
    x = np.random.default_rng(0).random((3, 8, 8, 1), "float32")
    added = keras.Model(model.input, model.get_layer("add_1").output)
    np.testing.assert_array_equal(stem.predict(x, verbose=0), added.predict(x, verbose=0))


def test_digits_are_learned_on_every_backend():
    data = vision.load("digits")
    model = vision.build_cnn(data.shape, data.classes, depth=2)
    model.compile(
        keras.optimizers.Adam(0.01),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
    )
    history = model.fit(
        data.train, validation_data=data.validation, epochs=8, shuffle=False, verbose=0
    )
    # Guessing gives 0.1.
    assert history.history["val_accuracy"][-1] > 0.5


def test_no_depth_is_refused():
    for depth in (0, 2.5, "3"):
        with pytest.raises(ValueError, match="`depth` must be a whole number, 1 or more"):
            vision.build_cnn((8, 8, 1), 4, depth=depth)
