"""Knowledge distillation: a small model learns from the softened answers of a frozen one."""

from typing import Any

import keras
from keras import layers, ops

from battery.models import normal, whole
from battery.trainings import Training


class Distiller(keras.Model):
    def __init__(self, student: keras.Model, teacher: keras.Model) -> None:
        super().__init__()
        self.student, self.teacher = student, teacher
        teacher.trainable = False

    def call(self, x: Any, training: bool = False) -> Any:
        return self.student(x, training=training)

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):  # type: ignore[no-untyped-def]
        hard = super().compute_loss(x, y, y_pred, sample_weight, training)
        soft = ops.softmax(self.teacher(x, training=False) / 3.0)
        told = keras.losses.kl_divergence(soft, ops.softmax(y_pred / 3.0))
        return 0.1 * hard + 0.9 * ops.mean(told)


def make() -> Training:
    def network(name: str, *widths: int) -> keras.Model:
        dense = [layers.Dense(width, "relu") for width in widths]
        return keras.Sequential([keras.Input((6,)), *dense, layers.Dense(3)], name=name)

    model = Distiller(network("student", 5), network("teacher", 16, 16))
    x = normal(16, 6)
    model(x[:1])
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.Adam(0.01), loss, jit_compile=False)
    return Training(model, {"x": x, "y": whole(3, 16)})
