"""Private names of optimizers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras


def parts_of(optimizer: Any) -> list[Any]:
    """Returns the optimizers that update variables: the parts of a composite one, or itself."""
    if hasattr(optimizer, "inner_optimizer"):
        return parts_of(optimizer.inner_optimizer)
    if hasattr(optimizer, "optimizers"):
        return [part for inner in optimizer.optimizers for part in parts_of(inner)]
    return [optimizer]


def variables_trained_by(optimizer: Any) -> list[keras.Variable]:
    """Returns the variables for which an optimizer was built; none before it is built."""
    return list(optimizer._trainable_variables)


def state_of(optimizer: Any) -> list[keras.Variable]:
    """Returns the optimizer's list of its variables itself, not a copy."""
    return optimizer._variables


def steps_of(optimizer: Any) -> keras.Variable:
    """Returns the variable that counts the calls of `apply`, accumulated batches included."""
    return optimizer._iterations


def accumulated_gradient(optimizer: Any, variable: keras.Variable) -> keras.Variable:
    """Returns the variable in which an optimizer adds up a variable's gradients."""
    return optimizer._accumulated_gradients[optimizer._get_variable_index(variable)]


def moving_averages(optimizer: Any) -> list[keras.Variable | None]:
    """Returns the averages that `use_ema` keeps, one for each variable that an optimizer trains."""
    return optimizer._model_variables_moving_average


def narrowed(optimizer: Any, trains: Callable[[keras.Variable], bool]) -> dict[str, Any]:
    """Returns attributes with which an optimizer trains only some of its variables.

    Its state stays where it is: slots are found by a variable's place among all of them.

    Args:
        optimizer: A built optimizer, or a loss scaler around one.
        trains: Tells for a variable whether it goes on training.
    """
    variables = optimizer._trainable_variables
    kept = [at for at, variable in enumerate(variables) if trains(variable)]
    attributes: dict[str, Any] = {
        "_trainable_variables": [variables[at] for at in kept],
        "_trainable_variables_indices": {
            optimizer._var_key(variables[at]): optimizer._get_variable_index(variables[at])
            for at in kept
        },
    }
    averages = getattr(optimizer, "_model_variables_moving_average", None)
    if averages:
        attributes["_model_variables_moving_average"] = [averages[at] for at in kept]
    return attributes


def strategy_of(optimizer: Any) -> Any:
    """Returns the `tf.distribute` strategy under which an optimizer was created."""
    return optimizer._distribution_strategy


def noting_reduced_gradients(
    optimizer: Any, note: Callable[[list[Any]], None]
) -> dict[str, Callable[..., Any]]:
    """Returns a replacement for the method that adds up gradients over replicas.

    Args:
        optimizer: A Keras optimizer on TensorFlow.
        note: A function that receives the sums.
    """
    reduce = optimizer._all_reduce_sum_gradients

    def reduce_and_note(grads_and_vars: Any) -> Any:
        reduced = reduce(grads_and_vars)
        note([gradient for gradient, _ in reduced])
        return reduced

    return {"_all_reduce_sum_gradients": reduce_and_note}
