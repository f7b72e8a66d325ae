"""Files that are saved while layers are frozen."""

import keras
import numpy as np
import pytest

from tests.freezing.conftest import network, train
from tests.freezing.test_freeze_converged import freeze_linear


@keras.saving.register_keras_serializable("freezing_tests")
class Own(keras.Model):
    """Makes its layers itself, so that its config has no flags of layers."""

    def __init__(self, width):
        super().__init__()
        self.width = width
        self.a = keras.layers.Dense(width, name="a")
        self.b = keras.layers.Dense(2, name="b")

    def get_config(self):
        return {"width": self.width}

    def build(self, shape):
        self.a.build(shape)
        self.b.build((None, self.a.units))

    def call(self, x):
        return self.b(self.a(x))


def own():
    model = Own(3)
    model.build((None, 6))
    model.compile("adam", "mse", run_eagerly=keras.backend.backend() != "torch")
    return model


@pytest.mark.parametrize(("build", "kind"), [(network, "callback"), (own, "function")])
def test_a_file_brings_back_the_flags_and_the_whole_optimizer(build, kind, tmp_path):
    class Saves(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            frozen = [layer.trainable for layer in self.model.layers]
            keras.saving.save_model(self.model, tmp_path / f"{epoch}.keras")
            assert [layer.trainable for layer in self.model.layers] == frozen

    class Slots(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            self.frozen = any(not layer.trainable for layer in self.model.layers)
            variables = self.model.optimizer.variables
            self.kept = [np.array(keras.ops.convert_to_numpy(v)) for v in variables]

    saves = keras.callbacks.ModelCheckpoint(tmp_path / "{epoch}.keras")
    slots = Slots()
    model = build()
    original = model.get_config
    train(model, slots, freeze_linear(), Saves() if kind == "function" else saves, epochs=2)
    assert slots.frozen
    loaded = keras.saving.load_model(max(tmp_path.iterdir()))
    assert all(layer.trainable for layer in loaded.layers)
    found = [keras.ops.convert_to_numpy(v) for v in loaded.optimizer.variables]
    assert len(found) == len(slots.kept)
    for now, then in zip(found, slots.kept, strict=True):
        np.testing.assert_array_equal(now, then)
    assert model.get_config == original  # nothing of it stays
