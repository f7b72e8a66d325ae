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
        given: An optimizer, or several, that the user names; then no others are looked for.
        in_fit: Whether `fit` trains it. On JAX, `fit` carries the state of the model's own
            optimizer only, so that no other one can be followed there.

    Returns:
        The optimizer of `compile` first, then those in other attributes of the model and of the
        models in it: for programs with one optimizer for each part, such as GANs.

    Raises:
        ValueError: If there is none, or what was given is no optimizer, or cannot be followed.
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
                f"{type(optimizer).__name__} is no optimizer that can be followed. Use one of "
                "keras.optimizers or, on the torch backend, torch.optim."
            )
    if only_own and any(optimizer is not own for optimizer in found):
        raise ValueError(
            "On JAX, `fit` carries the state of the model's own optimizer only. Follow others "
            "with `track(model, callback, optimizer=[...])` around a loop of your own."
        )
    if not found:
        raise ValueError(
            f"The model '{model.name}' is not compiled, so there is no optimizer to follow. "
            "Call `model.compile(optimizer, loss)` first, or name the optimizer: `optimizer=...`."
        )
    return found


def _held_by(model: keras.Model) -> list[Any]:
    models = [model, *(m for m in internals.flattened(model) if isinstance(m, keras.Model))]
    held = [getattr(model, "optimizer", None)]
    held += [optimizer for m in models for optimizer in _optimizers_in(list(vars(m).values()))]
    return list({id(optimizer): optimizer for optimizer in held if optimizer is not None}.values())


def _optimizers_in(value: Any, depth: int = 0) -> Iterator[Any]:
    """Yields the optimizers among an object's attributes, in lists and dictionaries too."""
    if is_optimizer(value):
        yield value
    elif depth < 3 and isinstance(value, dict):
        for each in value.values():
            yield from _optimizers_in(each, depth + 1)
    elif depth < 3 and isinstance(value, (list, tuple)):
        for each in value:
            yield from _optimizers_in(each, depth + 1)


def is_optimizer(thing: Any) -> bool:
    """Whether something is an optimizer of Keras or, on the torch backend, of torch."""
    return isinstance(thing, keras.Optimizer) or is_torch_optimizer(thing)


def is_torch_optimizer(thing: Any) -> bool:
    """Whether something is an optimizer of `torch.optim`."""
    if keras.backend.backend() != "torch":
        return False
    import torch

    return isinstance(thing, torch.optim.Optimizer)


def followed(optimizer: Any) -> KerasOptimizer | TorchOptimizer:
    """Returns what follows an optimizer's updates.

    Raises:
        ValueError: If it lacks what Keras' optimizers have.
    """
    if is_torch_optimizer(optimizer):
        from keras_lcb.training.torch_optimizer import TorchOptimizer

        return TorchOptimizer(optimizer)
    return KerasOptimizer(optimizer)
