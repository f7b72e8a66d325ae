"""The trainings on which the cost of the callbacks is measured."""

from __future__ import annotations

import dataclasses
import math
import pathlib
from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np

import keras_lcb as lcb
from benchmarks.interleaved import Callbacks, Variant
from keras_lcb.vision.networks import build_cnn

BATCH_SIZE = 64


@dataclasses.dataclass(frozen=True)
class Workload:
    """A model and its training data.

    Attributes:
        name: Its name in tables.
        data: Inputs and targets, as NumPy arrays.
        build: A function that builds the compiled model.
        at_most: The target for each variant: its time divided by that of plain training.
    """

    name: str
    data: tuple[np.ndarray, np.ndarray]
    build: Callable[[], keras.Model]
    at_most: dict[str, float]

    @property
    def steps(self) -> int:
        """Returns the number of steps in an epoch."""
        return math.ceil(len(self.data[0]) / BATCH_SIZE)


def mlp(steps: int) -> Workload:
    """Returns an MLP with 16 inputs, five layers of 64 units and a head, trained with Adam."""
    generator = np.random.default_rng(0)
    x = generator.normal(size=(steps * BATCH_SIZE, 16)).astype("float32")
    y = np.sin(x[:, :1])

    def build() -> keras.Model:
        keras.utils.set_random_seed(0)
        hidden = [keras.layers.Dense(64, activation="relu") for _ in range(5)]
        model = keras.Sequential([keras.Input((16,)), *hidden, keras.layers.Dense(1)])
        model.compile(keras.optimizers.Adam(1e-3), "mse")
        return model

    wanted = {BOTH: 1.03, EACH: 1.05, RECORD_1: 1.5, RECORD_10: 1.1, LOGS: 1.06, RATES: 1.10}
    return Workload("5x64 MLP", (x, y), build, at_most=wanted)


def cnn(steps: int) -> Workload:
    """Returns a CNN for 32x32 images, with six 3x3 convolutions and a head, trained with Adam."""
    generator = np.random.default_rng(0)
    x = generator.normal(size=(steps * BATCH_SIZE, 32, 32, 3)).astype("float32")
    y = generator.integers(0, 10, size=len(x))

    def build() -> keras.Model:
        keras.utils.set_random_seed(0)
        model = build_cnn((32, 32, 3), classes=10, depth=6, width=32)
        loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        model.compile(keras.optimizers.Adam(1e-3), loss)
        return model

    wanted = {BOTH: 1.01, EACH: 1.02, RECORD_1: 1.5, RECORD_10: 1.1, LOGS: 1.02, RATES: 1.02}
    return Workload("6-conv CNN", (x, y), build, at_most=wanted)


PLAIN, CONTROL, BOTH = "plain fit", "plain fit, a second one", "both callbacks"
EACH = "norms of each update"
RECORD_1, RECORD_10 = "distance each update", "distance each 10 updates"
LOGS, RATES = "LayerwiseModel", "LayerwiseModel, rates"


def variants(
    workload: Workload, log_dir: pathlib.Path, words: Sequence[str] = ("",)
) -> dict[str, Variant]:
    """Returns ways to train a workload, each with its own model.

    Plain training is included twice: the difference between the two shows the noise.

    Args:
        workload: The workload to train.
        log_dir: A folder for the files of TensorBoard.
        words: Only variants whose names contain one of these words are returned, and always plain
            training and both callbacks.

    Returns:
        The variants by name.
    """
    ways: dict[str, Callbacks] = {
        PLAIN: list,
        CONTROL: list,
        "LayerConvergence": lambda: [lcb.LayerConvergence()],
        "GradientNorms": lambda: [lcb.GradientNorms()],
        BOTH: lambda: [lcb.LayerConvergence(), lcb.GradientNorms()],
        EACH: lambda: [lcb.GradientNorms(per_update=True)],
        RECORD_1: lambda: [lcb.LayerConvergence(every=1)],
        RECORD_10: lambda: [lcb.LayerConvergence(every=10)],
        LOGS: list,
        RATES: list,
        "three quantities": lambda: [_three_quantities()],
        "get_weights each batch": lambda: [WeightsEachBatch()],
        "TensorBoard histograms": lambda: [
            keras.callbacks.TensorBoard(log_dir, histogram_freq=1, write_graph=False)
        ],
    }
    if keras.backend.backend() == "tensorflow":
        x, y = workload.data
        second_tape = SecondTape(x[:BATCH_SIZE], y[:BATCH_SIZE])
        ways["a second tape each batch"] = lambda: [second_tape]
    return {
        name: Variant(_model(workload, name), callbacks)
        for name, callbacks in ways.items()
        if name in (PLAIN, CONTROL, BOTH) or any(word in name for word in words)
    }


def _model(workload: Workload, way: str) -> keras.Model:
    """Returns the compiled model for one way to train."""
    plain = workload.build()
    if way not in (LOGS, RATES):
        return plain
    rates = {layer.name: 0.5 for layer in plain.layers if layer.trainable_variables}
    multipliers = rates if way == RATES else {}
    model = lcb.LayerwiseModel.from_model(plain, learning_rate_multipliers=multipliers)
    model.compile(plain.optimizer, plain.loss)
    return model


def _three_quantities() -> lcb.StepQuantities:
    kinds = lcb.quantities
    return lcb.StepQuantities(
        kinds.GradientNoise(), kinds.SuccessiveCosine(), kinds.SignAgreement()
    )


class WeightsEachBatch(keras.callbacks.Callback):
    """Copies the weights to the host after each batch, as one would to compute their changes."""

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        self.weights = self.model.get_weights()


class SecondTape(keras.callbacks.Callback):
    """Computes the gradient norms of a batch after each training batch, in a compiled function.

    A callback does not receive the training batch, so a fixed batch of the same size is used.
    """

    def __init__(self, x: np.ndarray, y: np.ndarray) -> None:
        super().__init__()
        self.batch = x, y
        self.norms: Callable[[], object] | None = None

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        if self.norms is None:
            self.norms = _compiled_norms(self.model, *self.batch)
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
