"""How much each layer's gradient changes along its own direction."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import keras
import numpy as np
from numpy.typing import ArrayLike

from keras_lcb.landscape import ops
from keras_lcb.landscape.around import Around, Block
from keras_lcb.landscape.objective import BATCH_SIZE, Objective, as_objective
from keras_lcb.landscape.results import dataset, followed
from keras_lcb.training.layers import TrackedLayer
from keras_lcb.training.selection import LayerSelection

if TYPE_CHECKING:
    import xarray as xr

STEP_SIZES = (0.001, 0.003, 0.01, 0.03, 0.1)
QUANTITIES = ("gradient_change", "relative_gradient_change", "gradient_cosine")
_AT_ONCE = 16  # layers that share a program; larger ones take long to compile
_NO_GRADIENT = "The layer's gradient is zero, so there is no direction to move along."


def gradient_predictiveness(
    model: keras.Model | Objective,
    x: Any = None,
    y: Any = None,
    *,
    step_sizes: ArrayLike = STEP_SIZES,
    layers: LayerSelection = None,
    sample_weight: Any = None,
    steps: int | None = None,
    loss: Any = None,
    training: bool = False,
    batch_size: int = BATCH_SIZE,
    progress: bool = False,
) -> xr.Dataset:
    """Measures how much each layer's gradient changes when that layer alone follows it.

    Let g be the gradient of the loss over the data with respect to a layer's weights θ, and g(η)
    the gradient at θ − ηg, with all other layers unchanged. The quantities are those of Santurkar
    et al., "How Does Batch Normalization Help Optimization?" (2018), for each layer separately:

    * `gradient_change` is ‖g(η) − g‖.
    * `relative_gradient_change` is ‖g(η) − g‖ / ‖g‖.
    * `gradient_cosine` is the cosine of the angle between g(η) and g.
    * `smoothness` is the largest ‖g(η) − g‖ / (η‖g‖) over the step sizes: the effective β of
      β-smoothness along the gradient.

    The cost is one gradient over the data for each layer and step size, and one more for all layers
    together. Each of them ends at its layer. On TensorFlow and JAX, the forward pass up to that
    layer is computed only once. JAX computes all step sizes at once, and so takes memory for as
    many batches.

    Args:
        model: A built and compiled model; or an `Objective`, which already has the data and the
            loss. A second call with the same `Objective` does not compile again.
        x: Inputs: arrays, or a data set as `fit` takes it. A data set is read once into memory,
            see `Objective`.
        y: Targets; `None` for a data set.
        step_sizes: The step sizes η, positive and ascending. Defaults to five step sizes from 0.001
            to 0.1.
        layers: The layers to measure, see `keras_lcb.training.selection.select_layers`. Defaults to
            all layers that train.
        sample_weight: Weights of the samples; `None` for a data set.
        steps: Number of batches to read from a data set. Defaults to `None`: all batches.
        loss: A loss to use instead of the compiled one, see `Objective`. Defaults to `None`.
        training: Whether layers behave as in training. Defaults to `False`.
        batch_size: Largest number of samples processed at once, which bounds the memory. Defaults
            to 512.
        progress: Whether to show a progress bar. Defaults to `False`.

    Returns:
        An `xarray.Dataset` with `gradient_change`, `relative_gradient_change` and
        `gradient_cosine` (layer, step_size), and `smoothness` (layer). If the gradient of a layer
        is zero, its `gradient_change` is 0, and the other quantities are NaN.

    Raises:
        ValueError: If step sizes are not positive and ascending, a layer is unknown, or `Objective`
            refuses the model or the data.

    Example:
    >>> import keras
    >>> import numpy as np
    >>> inputs = keras.Input((2,))
    >>> model = keras.Model(inputs, keras.layers.Dense(1, use_bias=False, name="line")(inputs))
    >>> model.compile(loss="mse")  # its Hessian is 2xᵀx/n: here the identity
    >>> x = np.eye(2)
    >>> found = gradient_predictiveness(model, x, np.ones((2, 1)), step_sizes=[0.1, 0.5])
    >>> found.relative_gradient_change.values.round(5)
    array([[0.1, 0.5]])
    >>> round(float(found.smoothness[0]), 5)
    1.0
    """
    sizes = checked_step_sizes(step_sizes)
    objective = as_objective(
        model,
        x,
        y,
        sample_weight=sample_weight,
        steps=steps,
        loss=loss,
        training=training,
        batch_size=batch_size,
    )
    rows = objective.select(layers)
    found = measure(objective, rows, sizes, progress)
    over = ("layer", "step_size")
    variables = {name: (over, found[name]) for name in QUANTITIES}
    return dataset(
        objective,
        rows,
        {**variables, "smoothness": (("layer",), found["smoothness"])},
        name="gradient_predictiveness",
        settings={},
        coords={"step_size": sizes},
        missing=missing(rows, found),
    )


def measure(
    objective: Objective,
    rows: Sequence[TrackedLayer],
    step_sizes: np.ndarray,
    progress: bool = False,
) -> dict[str, np.ndarray]:
    """Returns the quantities of `gradient_predictiveness` as arrays, with one row for each layer.

    A second call with the same objective does not compile again.
    """
    groups = [rows[start : start + _AT_ONCE] for start in range(0, len(rows), _AT_ONCE)]
    moments = np.concatenate(
        [
            _moments(objective, group, step_sizes)
            for group in followed(groups, progress, unit="group of layers")
        ]
    )
    before, after, product, change = np.moveaxis(moments, -1, 0)
    change = np.sqrt(change)
    with np.errstate(divide="ignore", invalid="ignore"):
        relative = change / np.sqrt(before)
        cosine = product / np.sqrt(before * after)
        smoothness = (relative / step_sizes).max(axis=1)
    return {
        "gradient_change": change,
        "relative_gradient_change": relative,
        "gradient_cosine": cosine,
        "smoothness": smoothness,
    }


def missing(rows: Sequence[TrackedLayer], found: dict[str, np.ndarray]) -> dict[str, str]:
    """Returns why a layer has no value, as a dict `{"variable/layer": reason}`."""
    names = ("relative_gradient_change", "gradient_cosine", "smoothness")
    return {
        f"{name}/{row.name}": _NO_GRADIENT
        for place, row in enumerate(rows)
        for name in names
        if np.all(found["gradient_change"][place] == 0) and np.isnan(found[name][place]).all()
    }


def checked_step_sizes(step_sizes: ArrayLike) -> np.ndarray:
    """Returns step sizes as an array.

    Raises:
        ValueError: If step sizes are not positive, finite and ascending.
    """
    steps = np.asarray(step_sizes)
    steps = steps.astype(np.float64 if steps.dtype.kind in "iuf" else "O")
    if (
        steps.dtype.kind == "O"
        or steps.ndim != 1
        or not steps.size
        or not np.isfinite(steps).all()
        or steps[0] <= 0
    ):
        raise ValueError(
            "`step_sizes` must be a list of positive numbers with at least one element; received "
            f"{step_sizes!r}."
        )
    if np.any(np.diff(steps) <= 0):
        raise ValueError(f"`step_sizes` must ascend, without repetitions; received {step_sizes!r}.")
    return steps


def _moments(
    objective: Objective, rows: Sequence[TrackedLayer], step_sizes: np.ndarray
) -> np.ndarray:
    """Returns ‖g‖², ‖g(η)‖², ⟨g, g(η)⟩ and ‖g(η) − g‖² for each η, over (layers, η, 4)."""
    together, blocks = objective.joined(rows)
    found = objective.compiled(_Moments(blocks), together)(None, step_sizes)
    return np.moveaxis(keras.ops.convert_to_numpy(found).astype(np.float64), 0, 1)


@dataclasses.dataclass(frozen=True)
class _Moments:
    """The function to compile. Functions with equal blocks are equal, and compiled only once."""

    blocks: tuple[Block, ...]

    def __call__(self, around: Around, own: Sequence[Any], step_sizes: Any) -> Any:
        types = {keras.backend.standardize_dtype(weight.dtype) for weight in own}
        dtype = "float64" if "float64" in types else "float32"
        gradients = around.gradients(own)
        before = [[gradients[place] for place in block] for block in self.blocks]

        def at(step: Any) -> Any:
            moved = [
                w - keras.ops.cast(step, w.dtype) * g for w, g in zip(own, gradients, strict=True)
            ]
            elsewhere = [[moved[place] for place in block] for block in self.blocks]
            after = around.gradients_of_blocks(own, self.blocks, elsewhere)
            products = map(_inner_products, _cast(before, dtype), _cast(after, dtype))
            return keras.ops.stack(list(products))

        return ops.mapped(at, step_sizes, dtype)


def _inner_products(before: Sequence[Any], after: Sequence[Any]) -> Any:
    change = [now - first for now, first in zip(after, before, strict=True)]
    pairs = (before, before), (after, after), (before, after), (change, change)
    return keras.ops.stack([_inner(one, other) for one, other in pairs])


def _inner(one: Sequence[Any], other: Sequence[Any]) -> Any:
    return sum(keras.ops.sum(a * b) for a, b in zip(one, other, strict=True))


def _cast(blocks: Sequence[Sequence[Any]], dtype: str) -> list[list[Any]]:
    return [[keras.ops.cast(tensor, dtype) for tensor in block] for block in blocks]
