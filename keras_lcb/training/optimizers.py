"""Which optimizers train a model."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import keras

from keras_lcb.backend import internals
from keras_lcb.training.keras_optimizer import KerasOptimizer

if TYPE_CHECKING:
    from keras_lcb.training.torch_optimizer import TorchOptimizer


def optimizers_of(model: keras.Model, given: Any = None, *, in_fit: bool = True) -> list[Any]:
    """Finds the optimizers that may train a model.

    Args:
        model: The model.
        given: An optimizer, or a list of optimizers. If given, the model is not searched.
            Defaults to `None`.
        in_fit: Whether `fit` trains the model. On JAX, `fit` passes on the state of the model's
            own optimizer only, so no other optimizer can be followed there. Defaults to `True`.

    Returns:
        The optimizer that was passed to `compile` first. Then those in other attributes of the
        model and of its parts, since a GAN, for example, has an optimizer for each part.

    Raises:
        ValueError: If there is no optimizer, or something given is not an optimizer or cannot be
            followed.
    """
    only_own = in_fit and keras.backend.backend() == "jax"
    own = getattr(model, "optimizer", None)
    if given is not None:
        found = list(given) if isinstance(given, (list, tuple)) else [given]
    elif only_own:
        found = [own] if own is not None else []
    else:
        found = _held_by(model)
    for optimizer in found:
        if not is_optimizer(optimizer):
            raise ValueError(
                "`optimizer` must be an optimizer of keras.optimizers or, on the torch backend, "
                f"of torch.optim; received {type(optimizer).__name__}."
            )
    if only_own and any(optimizer is not own for optimizer in found):
        raise ValueError(
            "On JAX, `fit` updates the state of the model's own optimizer only, so it cannot be "
            "used with other optimizers. Write your own training loop, and follow them with "
            "`track(model, callback, optimizer=[...])`."
        )
    if not found:
        raise ValueError(
            f"The model '{model.name}' is not compiled, so there is no optimizer to follow. "
            "Call `model.compile(optimizer, loss)` first, or pass the optimizer: `optimizer=...`."
        )
    return found


def _held_by(model: keras.Model) -> list[Any]:
    models = [model, *(m for m in internals.flattened(model) if isinstance(m, keras.Model))]
    held = [getattr(model, "optimizer", None)]
    held += [optimizer for m in models for optimizer in _optimizers_in(list(vars(m).values()))]
    return list({id(optimizer): optimizer for optimizer in held if optimizer is not None}.values())


def _optimizers_in(value: Any, depth: int = 0) -> Iterator[Any]:
    """Yields a value if it is an optimizer, and the optimizers in lists and dictionaries."""
    if is_optimizer(value):
        yield value
    elif depth < 3 and isinstance(value, dict):
        for each in value.values():
            yield from _optimizers_in(each, depth + 1)
    elif depth < 3 and isinstance(value, (list, tuple)):
        for each in value:
            yield from _optimizers_in(each, depth + 1)


def is_optimizer(thing: Any) -> bool:
    """Returns whether something is an optimizer of Keras or, on the torch backend, of torch."""
    return isinstance(thing, keras.Optimizer) or is_torch_optimizer(thing)


def is_torch_optimizer(thing: Any) -> bool:
    """Returns whether something is an optimizer of `torch.optim`."""
    if keras.backend.backend() != "torch":
        return False
    import torch

    return isinstance(thing, torch.optim.Optimizer)


def followed(optimizer: Any) -> KerasOptimizer | TorchOptimizer:
    """Returns the object that follows an optimizer's updates.

    Raises:
        ValueError: If the optimizer lacks a method that Keras' optimizers have.
    """
    if is_torch_optimizer(optimizer):
        from keras_lcb.training.torch_optimizer import TorchOptimizer

        return TorchOptimizer(optimizer)
    return KerasOptimizer(optimizer)
