"""Private names of layers and variables."""

from __future__ import annotations

import re
from typing import Any

import keras
from keras.src.models.functional import Functional, functional_like_constructor


def sublayers(layer: keras.Layer) -> list[keras.Layer]:
    """Returns the layers directly inside a layer, in the order in which they were attached."""
    return list(layer._layers)


def attributes_of(layer: keras.Layer) -> dict[str, Any]:
    """Returns the attributes that a user's class has set on a layer.

    On torch, layers among them are in `_modules`. TensorFlow's own attributes (`_self_…`) are left
    out.
    """
    own = {**vars(layer).get("_modules", {}), **vars(layer)}
    return {
        name: value
        for name, value in own.items()
        if name not in ("_layers", "_modules") and not name.startswith("_self_")
    }


def flattened(layer: keras.Layer) -> list[keras.Layer]:
    """Returns all layers inside a layer, at any depth, without the layer itself."""
    return list(layer._flatten_layers(include_self=False))


def is_graph(layer: keras.Layer) -> bool:
    """Returns whether a layer is a Functional or Sequential model."""
    return isinstance(layer, (Functional, keras.Sequential))


def is_from_keras(layer: keras.Layer) -> bool:
    """Tells whether a layer is Keras' own, whose `call` is known."""
    return type(layer).__module__.startswith("keras.")


def is_plain_graph(model: keras.Layer) -> bool:
    """Tells whether a model's `call` does what its graph says, and nothing else."""
    return type(model).call in (Functional.call, keras.Sequential.call)


def names_are_kept(layer: keras.Layer) -> bool:
    """Returns whether a layer's configuration holds the names of the layers in it.

    If not, its constructor creates them anew when a model is loaded or cloned, and layers without
    a given name then get new automatic names.
    """
    if isinstance(layer, Functional):
        return functional_like_constructor(type(layer))
    return isinstance(layer, keras.Sequential) or type(layer).__module__.startswith("keras.")


def has_automatic_name(layer: keras.Layer) -> bool:
    """Returns whether Keras may have named a layer automatically, after its class."""
    name = re.sub(r"^(forward|backward)_", "", layer.name)  # as Bidirectional does
    stem = re.sub(r"_\d+$", "", name)
    return stem == automatic_stem(layer)


def automatic_stem(layer: keras.Layer) -> str:
    """Returns the beginning of Keras' automatic names of such a layer."""
    return keras.src.utils.naming.to_snake_case(type(layer).__name__)


def own_variables(layer: keras.Layer) -> list[keras.Variable]:
    """Returns the variables that a layer owns itself and that are trained unless frozen."""
    return list(layer._trainable_variables)


def own_weights(layer: keras.Layer) -> list[keras.Variable]:
    """Returns all weights that a layer owns itself, moving statistics included."""
    return [*layer._trainable_variables, *layer._non_trainable_variables]


def is_overwritten_by_gradient(variable: Any) -> bool:
    """Returns whether a step replaces a variable by its gradient.

    The scales of float8 layers are such variables.
    """
    return bool(getattr(variable, "overwrite_with_gradient", False))


def base_of_lora(layer: keras.Layer) -> keras.Variable | None:
    """Returns the variable that `enable_lora` has frozen; `None` for layers without LoRA."""
    if not getattr(layer, "lora_enabled", False):
        return None
    return vars(layer).get("_kernel", vars(layer).get("_embeddings"))


def is_random(layer: keras.Layer) -> bool:
    """Whether a layer, or one in it, draws random numbers."""
    return any(each._seed_generators for each in (layer, *flattened(layer)))


def layout_of(variable: keras.Variable) -> Any:
    """Returns a variable's layout over devices (JAX); `None` if the distribution decides."""
    return getattr(variable, "_layout", None)
