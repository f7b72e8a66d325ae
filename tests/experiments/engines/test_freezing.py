"""Freezing a layer: the others go on as they would, and it stays."""

from __future__ import annotations

import keras
import numpy as np
import pytest

import keras_lcb as lcb
from keras_lcb import vision
from keras_lcb.experiments.engines import freezing

CONFIG = vision.Config(depth=3, width=4, updates=16, record_every=4, optimizer="momentum")


def by_hand(frozen):
    """The same in Keras' own way: the layer does not train in the second part."""
    data = vision.load(CONFIG.data, batch_size=CONFIG.batch_size, seed=0)
    images, labels = (
        np.concatenate(part) for part in zip(*data.train.as_numpy_iterator(), strict=True)
    )
    order = freezing._order(len(images), CONFIG)
    model = freezing.compiled_model(CONFIG, data)
    for number, chosen in enumerate(order):
        if number == 4 and frozen:
            model.get_layer(frozen).trainable = False
            slots = [v.numpy() for v in model.optimizer.variables]
            kept = [w.numpy() for w in model.get_layer(frozen).weights]
            model.compile(model.optimizer, model.loss)
            for variable, value in zip(model.optimizer.variables, slots, strict=True):
                variable.assign(value)
        model.train_on_batch(images[chosen], labels[chosen])
    if frozen:
        for weight, value in zip(model.get_layer(frozen).weights, kept, strict=True):
            np.testing.assert_array_equal(weight, value)
    return model.evaluate(images, labels, batch_size=256, verbose=0)


@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="recompiles in mid-training")
def test_losses_are_those_of_training_by_hand(tmp_path):
    keras.utils.set_random_seed(0)  # on which TensorFlow's order of images depends
    run = freezing.run(CONFIG)
    assert run.loss.item() == pytest.approx(by_hand(None), rel=1e-4)
    for name in ("conv_0", "conv_2"):
        cost = float(run[freezing.COST].sel(layer=name))
        assert cost == pytest.approx(by_hand(name), rel=1e-4)
        assert cost != pytest.approx(run.loss.item(), rel=1e-4)
    lcb.save_run(run, tmp_path / "run.nc")
    assert lcb.load_run(tmp_path / "run.nc").role.values.tolist() == ["hidden"] * 3 + ["head"]


def test_every_image_is_seen_once_before_any_is_seen_again():
    order = freezing._order(50, vision.Config(batch_size=20, updates=5, record_every=1))
    assert order.shape == (5, 20)
    assert sorted(order.ravel()[:50]) == sorted(order.ravel()[50:]) == list(range(50))
