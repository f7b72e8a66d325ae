"""The largest learning rate at which gradient descent on a single layer is stable."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import keras
import numpy as np

from keras_lcb.config import is_between, whole_number
from keras_lcb.landscape import ops
from keras_lcb.landscape.around import Around
from keras_lcb.landscape.objective import BATCH_SIZE, Objective, as_objective
from keras_lcb.landscape.results import dataset, followed
from keras_lcb.training.layers import TrackedLayer
from keras_lcb.training.selection import LayerSelection

if TYPE_CHECKING:
    import xarray as xr

_FIRST = 0.1  # the first learning rate to try if the curvature does not suggest one
_FARTHEST = 2.0**16  # factor from the first learning rate, up or down, at which the search gives up
_STEEP = "The loss rose at every learning rate tried, down to {:.1e}."
_ENDLESS = "The loss did not rise at any learning rate tried, up to {:.1e}."
_NOT_CONVEX = "The largest eigenvalue is not positive, so 2 / λ_max sets no limit."


def largest_stable_learning_rate(
    model: keras.Model | Objective,
    x: Any = None,
    y: Any = None,
    *,
    layers: LayerSelection = None,
    steps: int = 100,
    tolerance: float = 0.01,
    theory: bool = True,
    sample_weight: Any = None,
    loss: Any = None,
    training: bool = False,
    batch_size: int = BATCH_SIZE,
    seed: int = 0,
    progress: bool = False,
) -> xr.Dataset:
    """Finds the largest learning rate at which gradient descent on one layer alone is stable.

    Only one layer moves, by `steps` steps of gradient descent over all of the data. A learning rate
    is stable if neither all steps together nor a single one of their second half raised the loss by
    more than rounding errors can. The search starts at 2 / λ_max, the limit of stability
    for a quadratic loss. It doubles the learning rate until it is unstable, or halves it until it
    is stable. It then bisects between the last two learning rates on a logarithmic scale.

    A loss that is not quadratic may be stable again at even larger learning rates; the result is
    the first limit that doubling meets. On a quadratic loss, the result exceeds 2 / λ_max, because
    divergence along the top eigenvector takes many steps to show if the start is close to the
    minimum along it. The excess shrinks with more `steps`.

    The cost for each layer is at most `steps + 1` gradients over the data for each learning rate
    tried, typically about ten, and the search for λ_max.

    Args:
        model: A built and compiled model; or an `Objective`, which already has the data and the
            loss. A second call with the same `Objective` does not compile again.
        x: Inputs: arrays, or a data set as `fit` takes it. A data set is read once into memory,
            see `Objective`.
        y: Targets; `None` for a data set.
        layers: The layers to measure, see `keras_lcb.training.selection.select_layers`. Defaults to
            all layers that train.
        steps: Number of steps of gradient descent. Defaults to 100. (To read only some batches of
            a data set, make an `Objective(model, data, steps=...)` and pass it as `model`.)
        tolerance: Width of the final bracket, relative to its lower end. Defaults to 0.01.
        theory: Whether to compute λ_max. Without it, the search starts at 0.1. Defaults to `True`.
        sample_weight: Weights of the samples; `None` for a data set.
        loss: A loss to use instead of the compiled one, see `Objective`. Defaults to `None`.
        training: Whether layers behave as in training. Defaults to `False`.
        batch_size: Largest number of samples processed at once, which bounds the memory. Defaults
            to 512.
        seed: Seed of the search for λ_max. Defaults to 0.
        progress: Whether to show a progress bar. Defaults to `False`.

    Returns:
        An `xarray.Dataset` with, for each layer:

        * `learning_rate`: the geometric mean of `lower` and `upper`; NaN if no bracket was found;
        * `lower`: the largest learning rate that was found to be stable; 0 if there was none;
        * `upper`: the smallest larger one that was found to be unstable; infinite if there was
          none;
        * `theory`: 2 / λ_max; NaN if λ_max is not positive.

    Raises:
        ValueError: If a setting is out of its range, a layer is unknown, or `Objective` refuses the
            model or the data.

    Example:
    >>> import keras
    >>> import numpy as np
    >>> inputs = keras.Input((1,))
    >>> model = keras.Model(inputs, keras.layers.Dense(1, use_bias=False, name="line")(inputs))
    >>> model.compile(loss="mse")
    >>> x = np.ones((1, 1))  # the loss is (w - 5)², and its second derivative is 2
    >>> found = largest_stable_learning_rate(model, x, 5 * x, theory=False)
    >>> bool(found.lower[0] <= 1.0 <= found.upper[0])
    True
    """
    steps = whole_number("steps", steps, least=1)
    seed = whole_number("seed", seed, least=0)
    if not is_between(tolerance, 0, 1):
        raise ValueError(f"`tolerance` must be a number between 0 and 1; received {tolerance!r}.")
    objective = as_objective(
        model,
        x,
        y,
        sample_weight=sample_weight,
        loss=loss,
        training=training,
        batch_size=batch_size,
    )
    rows = objective.select(layers)
    limit = _theory(objective, rows, seed) if theory else np.full(len(rows), math.nan)
    brackets, missing = [], {}
    for row, expected in zip(followed(rows, progress), limit, strict=True):
        stable = _stability(objective, row, steps)
        lower, upper = bracket(stable, expected if expected > 0 else _FIRST, tolerance)
        brackets.append((lower, upper))
        if lower == 0:
            missing[f"learning_rate/{row.name}"] = _STEEP.format(upper)
        elif math.isinf(upper):
            missing[f"learning_rate/{row.name}"] = _ENDLESS.format(lower)
        if theory and math.isnan(expected):
            missing[f"theory/{row.name}"] = _NOT_CONVEX
    if not theory:
        missing["theory"] = "Not measured, because `theory` was `False`."
    lower, upper = np.array(brackets).T
    found = (lower > 0) & np.isfinite(upper)
    rate = np.where(found, np.sqrt(lower) * np.sqrt(np.where(found, upper, 1.0)), math.nan)
    values = {"learning_rate": rate, "lower": lower, "upper": upper, "theory": limit}
    return dataset(
        objective,
        rows,
        {name: (("layer",), array) for name, array in values.items()},
        name="largest_stable_learning_rate",
        settings={"steps": steps, "tolerance": tolerance, "seed": seed},
        missing=missing,
    )


def bracket(stable: Callable[[float], bool], start: float, tolerance: float) -> tuple[float, float]:
    """Finds where stability ends: first by factors of two from `start`, then by bisection.

    Args:
        stable: A function that returns whether a learning rate is stable.
        start: The first learning rate to try.
        tolerance: Relative width of the bracket at which the search ends.

    Returns:
        The largest learning rate found to be stable, and the smallest larger one found to be
        unstable. If no learning rate was stable: 0 and the last one tried. If all were stable: the
        last one tried and infinity.

    Example:
        >>> lower, upper = bracket(lambda rate: rate < 3, 1.0, 0.01)
        >>> lower < 3 <= upper <= 1.01 * lower
        True
    """
    rate, good = start, stable(start)
    factor = 2.0 if good else 0.5
    while stable(rate * factor) == good:
        rate *= factor
        if not start / _FARTHEST < rate < start * _FARTHEST:
            return (rate, math.inf) if good else (0.0, rate)
    lower, upper = (rate, rate * factor) if good else (rate * factor, rate)
    while upper > (1 + tolerance) * lower:
        middle = math.sqrt(lower * upper)
        lower, upper = (middle, upper) if stable(middle) else (lower, middle)
    return lower, upper


def _stability(objective: Objective, row: TrackedLayer, steps: int) -> Callable[[float], bool]:
    """Returns a function that tells whether a learning rate is stable for a layer."""
    if ops.loops_are_slow():
        descend = functools.partial(_losses_from_host, objective.compiled(_step, row))
    else:
        descend = functools.partial(_losses, objective.compiled(_descend, row))

    def stable(rate: float) -> bool:
        losses = descend(rate, steps)
        first, last, rise = losses.tolist()
        rounding = 8 * np.finfo(losses.dtype).eps * abs(first)
        # Tiny gradients do not lower the loss at small rates. Then larger ones must be tried.
        return last - first <= rounding and rise <= rounding  # both are false for NaN

    return stable


def _step(around: Around, own: Sequence[Any], rate: Any) -> list[Any]:
    """Returns the loss, and the weights after a step of gradient descent."""
    loss, gradients = around.loss_and_gradients(own)
    rate = keras.ops.cast(rate, own[0].dtype)
    return [loss, *(w - rate * g for w, g in zip(own, gradients, strict=True))]


def _descend(around: Around, own: Sequence[Any], rate: Any, steps: Any) -> Any:
    """Returns the first loss, the last one, and the largest rise in a step of the second half.

    A loss that goes up and down without end would pass a test of its last step by chance.
    """

    def step(made: Any, first: Any, last: Any, rise: Any, *weights: Any) -> tuple[Any, ...]:
        loss, *moved = _step(around, weights, rate)
        rise = keras.ops.where(made > steps // 2, keras.ops.maximum(rise, loss - last), rise)
        return made + 1, keras.ops.where(made == 0, loss, first), loss, rise, *moved

    def goes_on(made: Any, first: Any, last: Any, rise: Any, *weights: Any) -> Any:
        # An infinite or NaN loss does not recover, so that no further steps are needed.
        return keras.ops.logical_and(made <= steps, keras.ops.isfinite(last))

    zero = keras.ops.zeros((), own[0].dtype)
    start = (keras.ops.zeros((), "int32"), zero, zero, zero - math.inf, *own)
    _, first, last, rise, *_ = keras.ops.while_loop(goes_on, step, start)
    return keras.ops.stack([first, last, rise])


def _losses(descend: Callable[..., Any], rate: float, steps: int) -> np.ndarray:
    """Returns the losses of the compiled `_descend`."""
    return keras.ops.convert_to_numpy(descend(None, np.float64(rate), np.int32(steps)))


def _losses_from_host(step: Callable[..., Any], rate: float, steps: int) -> np.ndarray:
    """Returns the same losses, from a call of the compiled `_step` for each step."""
    losses: list[np.ndarray] = []
    weights = None
    while len(losses) <= steps and np.isfinite(losses[-1:]).all():
        loss, *weights = step(weights, np.float64(rate))
        losses.append(keras.ops.convert_to_numpy(loss))
    late = np.array(losses[steps // 2 :])
    return np.array([losses[0], losses[-1], np.diff(late).max(initial=-math.inf)], losses[0].dtype)


def _theory(objective: Objective, rows: Sequence[TrackedLayer], seed: int) -> np.ndarray:
    """Returns 2 / λ_max of each layer; NaN if λ_max is not positive."""
    largest = np.asarray(_largest_eigenvalues(objective, rows, seed), dtype=np.float64)
    return np.divide(2.0, largest, out=np.full(len(rows), math.nan), where=largest > 0)


def _largest_eigenvalues(
    objective: Objective, rows: Sequence[TrackedLayer], seed: int
) -> np.ndarray:
    from keras_lcb.landscape.blocks import largest_eigenvalues

    return largest_eigenvalues(objective, rows, seed=seed)
