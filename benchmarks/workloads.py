"""What is trained, and in which ways, to see what the callbacks cost."""

from __future__ import annotations

import dataclasses
import math
import pathlib
from collections.abc import Callable

import keras
import numpy as np

import keras_lcb as lcb
from benchmarks.interleaved import Callbacks, Variant
from keras_lcb.vision.networks import build_cnn

BATCH_SIZE = 64


@dataclasses.dataclass(frozen=True)
class Workload:
    """A training: data as NumPy arrays, and a function that builds a compiled model."""

    name: str
    data: tuple[np.ndarray, np.ndarray]
    build: Callable[[], keras.Model]
    target: float  # of both callbacks at once, over plain training

    @property
    def steps(self) -> int:
        """Steps in an epoch."""
        return math.ceil(len(self.data[0]) / BATCH_SIZE)


def mlp(steps: int) -> Workload:
    """Five layers of 64 units and a head, on 16 inputs, with Adam."""
    generator = np.random.default_rng(0)
    x = generator.normal(size=(steps * BATCH_SIZE, 16)).astype("float32")
    y = np.sin(x[:, :1])

    def build() -> keras.Model:
        keras.utils.set_random_seed(0)
        hidden = [keras.layers.Dense(64, activation="relu") for _ in range(5)]
        model = keras.Sequential([keras.Input((16,)), *hidden, keras.layers.Dense(1)])
        model.compile(keras.optimizers.Adam(1e-3), "mse")
        return model

    return Workload("5x64 MLP", (x, y), build, target=1.05)


def cnn(steps: int) -> Workload:
    """Six 3x3 convolutions of 32 channels and a head, on 32x32 images, with Adam."""
    generator = np.random.default_rng(0)
    x = generator.normal(size=(steps * BATCH_SIZE, 32, 32, 3)).astype("float32")
    y = generator.integers(0, 10, size=len(x))

    def build() -> keras.Model:
        keras.utils.set_random_seed(0)
        model = build_cnn((32, 32, 3), classes=10, depth=6, width=32)
        loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        model.compile(keras.optimizers.Adam(1e-3), loss)
        return model

    return Workload("6-conv CNN", (x, y), build, target=1.02)


PLAIN, CONTROL, BOTH = "plain fit", "plain fit, once more", "both callbacks"


def variants(workload: Workload, log_dir: pathlib.Path) -> dict[str, Variant]:
    """Plain training, the callbacks, and the alternatives, each with a model of its own.

    The control is a second plain training: how far its ratio is from 1 is the noise.
    """
    x, y = (array[:BATCH_SIZE] for array in workload.data)
    ways: dict[str, Callbacks] = {
        PLAIN: list,
        CONTROL: list,
        "LayerConvergence": lambda: [lcb.LayerConvergence()],
        "GradientNorms": lambda: [lcb.GradientNorms()],
        BOTH: lambda: [lcb.LayerConvergence(), lcb.GradientNorms()],
        "get_weights each batch": lambda: [WeightsEachBatch()],
        "TensorBoard histograms": lambda: [
            keras.callbacks.TensorBoard(log_dir, histogram_freq=1, write_graph=False)
        ],
    }
    if keras.backend.backend() == "tensorflow":
        second_tape = SecondTape(x, y)
        ways["a second tape each batch"] = lambda: [second_tape]
    return {name: Variant(workload.build(), callbacks) for name, callbacks in ways.items()}


class WeightsEachBatch(keras.callbacks.Callback):
    """Copies the weights to the host after each batch, to take differences of."""

    def on_train_batch_end(self, batch, logs=None) -> None:
        self.weights = self.model.get_weights()


class SecondTape(keras.callbacks.Callback):
    """Computes gradient norms of a batch of the same size again, in a compiled function.

    A callback never sees the batch that was trained on, so a fixed one stands in for it.
    """

    def __init__(self, x: np.ndarray, y: np.ndarray) -> None:
        super().__init__()
        self.batch = x, y

    def set_model(self, model: keras.Model) -> None:
        if model is not self._model:
            super().set_model(model)
            self.norms = _compiled_norms(model, *self.batch)

    def on_train_batch_end(self, batch, logs=None) -> None:
        self.norms()


def _compiled_norms(model: keras.Model, x: np.ndarray, y: np.ndarray) -> Callable[[], object]:
    import tensorflow as tf

    x, y = tf.constant(x), tf.constant(y)

    @tf.function
    def norms() -> tf.Tensor:
        with tf.GradientTape() as tape:
            loss = model.compute_loss(x=x, y=y, y_pred=model(x, training=True))
        variables = [variable.value for variable in model.trainable_variables]
        return tf.stack([tf.norm(gradient) for gradient in tape.gradient(loss, variables)])

    return norms
