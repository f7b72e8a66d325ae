"""Each network of `keras.applications`, with random weights, at the smallest possible input."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any

import keras

from battery.models import Case, case, normal, whole

CLASSES = 4
_SIZES = {"InceptionV3": 75, "InceptionResNetV2": 75, "Xception": 71}


# Of 350 million parameters, of which the check keeps a dozen copies.
_TOO_LARGE = ("ConvNeXtXLarge",)


def _constructors() -> dict[str, Callable[..., Any]]:
    return {
        name: made
        for name, made in vars(keras.applications).items()
        if inspect.isfunction(made) and name[0].isupper() and name not in _TOO_LARGE
    }


def _application(name: str) -> Case:
    size = _SIZES.get(name, 32)
    model = _constructors()[name](
        weights=None, input_shape=(size, size, 3), classes=CLASSES, classifier_activation=None
    )
    x, y = normal(4, size, size, 3), whole(CLASSES, 4)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    return Case(model, x, y, loss, compile={"jit_compile": keras.backend.backend() == "jax"})


for _name in _constructors():
    case(f"application {_name}")(functools.partial(_application, _name))
