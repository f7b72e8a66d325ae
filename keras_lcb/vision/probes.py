"""Callbacks that look at given images, made for an experiment by their names."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import keras
import tensorflow as tf

import keras_lcb
from keras_lcb.callbacks import Recorder

if TYPE_CHECKING:
    from keras_lcb.vision.data import ImageData

_SETTLED = ("x", "y", "layers")  # by the experiment


def check_probes(probes: Mapping[str, Any]) -> None:
    """Checks that the names are those of such callbacks, and that these take the arguments.

    Args:
        probes: The arguments of each, by the name of its class.

    Raises:
        ValueError: If a name is unknown, or an argument is.
    """
    known = _known()
    for name, arguments in probes.items():
        if name not in known:
            raise ValueError(
                f"`probes` names callbacks that look at given images: {', '.join(known)}; received "
                f"{name!r}."
            )
        taken = [each for each in inspect.signature(known[name]).parameters if each not in _SETTLED]
        given = set(arguments) if isinstance(arguments, dict) else {str(arguments)}
        if not given <= set(taken):
            raise ValueError(
                f"`probes` gives a dictionary of arguments for {name}: {', '.join(taken)}; "
                f"received {arguments!r}."
            )


def make_probes(
    probes: Mapping[str, Any], data: ImageData, images: int, layers: Any
) -> list[keras.callbacks.Callback]:
    """Returns the callbacks, each made of the same images and labels.

    Args:
        probes: The arguments of each, by the name of its class.
        data: The images. The first ones of those for validation are used.
        images: The number of images.
        layers: The rows of the run.
    """
    if not probes:
        return []
    given = tf.data.Dataset.from_tensors(next(iter(data.validation.unbatch().batch(images))))
    known = _known()
    return [known[name](x=given, layers=layers, **own) for name, own in probes.items()]


def _known() -> dict[str, Callable[..., keras.callbacks.Callback]]:
    """Returns the public callbacks that are made of samples and follow layers, by name."""
    classes = {name: getattr(keras_lcb, name) for name in dir(keras_lcb) if name[0].isupper()}
    return {
        name: kind
        for name, kind in classes.items()
        if issubclass(kind, Recorder) and {"x", "layers"} <= set(inspect.signature(kind).parameters)
    }
