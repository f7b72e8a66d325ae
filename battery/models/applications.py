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


# One has 350 million parameters, of which the check keeps a dozen copies. Keras refuses the other
# with torch.
_LEFT_OUT = {"ConvNeXtXLarge"} | ({"NASNetMobile"} if keras.backend.backend() == "torch" else set())

# With the whole loss, an update at rate 1 makes its weights NaN.
_PART_OF_LOSS = {"EfficientNetV2L": 0.01}


def _constructors() -> dict[str, Callable[..., Any]]:
    return {
        name: made
        for name, made in vars(keras.applications).items()
        if inspect.isfunction(made) and name[0].isupper() and name not in _LEFT_OUT
    }


def _application(name: str) -> Case:
    size = _SIZES.get(name, 32)
    model = _constructors()[name](
        weights=None, input_shape=(size, size, 3), classes=CLASSES, classifier_activation=None
    )
    x, y = normal(4, size, size, 3), whole(CLASSES, 4)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    options = {
        "jit_compile": keras.backend.backend() == "jax",
        "loss_weights": _PART_OF_LOSS.get(name),
    }
    return Case(model, x, y, loss, compile=options)


for _name in _constructors():
    case(f"application {_name}")(functools.partial(_application, _name))
