"""Each optimizer of Keras, with each of its options, against gradients and weights in float64."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from typing import Any

import keras
import numpy as np

import keras_lcb as lcb
from battery.models import normal
from battery.models_check import TOLERANCE, Checked, Weights
from keras_lcb.training.layers import tracked_layers

BATCHES, BATCH_SIZE = 6, 4
RATE = 0.05
MULTIPLIERS = {"first": 0.5, "second": 2.0}
# Arguments of the optimizer, of the model, and how many batches make one update.
VARIANTS: dict[str, tuple[dict[str, Any], str, int]] = {
    "plain": ({}, "float32", 1),
    "accumulation": ({"gradient_accumulation_steps": 3}, "float32", 3),
    "clipping": ({"clipnorm": 0.01}, "float32", 1),
    "EMA": ({"use_ema": True, "ema_overwrite_frequency": 2}, "float32", 1),
    "mixed precision": ({}, "mixed_bfloat16", 1),
    "loss scaling": ({}, "mixed_float16", 1),
    "multipliers": ({}, "float32", 1),
}


def optimizers() -> dict[str, Callable[..., Any]]:
    """Returns the optimizers that Keras ships and that train a model by themselves."""
    return {
        name: made
        for name, made in vars(keras.optimizers).items()
        if inspect.isclass(made)
        and issubclass(made, keras.optimizers.Optimizer)
        and made is not keras.optimizers.Optimizer
        and "learning_rate" in inspect.signature(made).parameters
    }


def combinations() -> Iterator[tuple[str, str]]:
    """Yields each optimizer with each variant."""
    for name in optimizers():
        for variant in VARIANTS:
            yield name, variant


def check(name: str, variant: str) -> Checked:
    """Trains with the callbacks and without, and compares the run with the weights."""
    found = Checked()
    options, _, at_once = VARIANTS[variant]
    weights, convergence = Weights(), lcb.LayerConvergence()
    norms = lcb.GradientNorms(per_update=True)
    model = _trained(name, variant, weights, convergence, norms)
    plain = _trained(name, variant, Weights())
    run = lcb.collect(convergence, norms)
    rows = tracked_layers(model).layers
    found.layers, found.parameters = len(rows), sum(row.parameters for row in rows)
    updates = BATCHES // at_once
    if run.sizes["update"] != updates:
        found.faults.append(f"{run.sizes['update']} updates in the run, should be {updates}")
    _check_weights(found, model, plain)
    _check_first(found, run, name, variant)
    return found


def _network(dtype: str) -> keras.Model:
    keras.utils.set_random_seed(0)
    inputs = keras.Input((5,))
    hidden = keras.layers.Dense(6, "tanh", name="first", dtype=dtype)(inputs)
    hidden = keras.layers.Dense(6, "tanh", name="second", dtype=dtype)(hidden)
    return keras.Model(inputs, keras.layers.Dense(2, name="third", dtype=dtype)(hidden))


def _trained(name: str, variant: str, *callbacks: Any, batches: int = BATCHES) -> keras.Model:
    keras.backend.clear_session()
    options, dtype, _ = VARIANTS[variant]
    model = _network(dtype)
    optimizer = optimizers()[name](learning_rate=RATE, **options)
    if variant == "loss scaling":
        optimizer = keras.optimizers.LossScaleOptimizer(optimizer, initial_scale=64.0)
    if variant == "multipliers":
        model = lcb.LayerwiseModel.from_model(model, learning_rate_multipliers=MULTIPLIERS)
    model.compile(optimizer, "mse", auto_scale_loss=False)
    count = batches * BATCH_SIZE
    x, y = normal(count, 5), normal(count, 2, seed=1)
    fit = {"batch_size": BATCH_SIZE, "shuffle": False, "verbose": 0}
    model.fit(x, y, callbacks=list(callbacks), **fit)
    return model


def _check_weights(found: Checked, one: keras.Model, other: keras.Model) -> None:
    exact = keras.backend.backend() != "jax"  # XLA may fuse the longer program in another way
    for ours, plain in zip(one.weights, other.weights, strict=True):
        a, b = keras.ops.convert_to_numpy(ours), keras.ops.convert_to_numpy(plain)
        if not (np.array_equal(a, b) if exact else np.allclose(a, b, rtol=1e-4, atol=1e-6)):
            found.faults.append(f"weights {ours.path} differ from a plain run")


def _check_first(found: Checked, run: Any, name: str, variant: str) -> None:
    """Compares the first update with the gradient of SGD at rate 1, and with a training of it."""
    _, dtype, at_once = VARIANTS[variant]
    rows = tracked_layers(_network(dtype)).layers
    gradient = _moved(lambda: keras.optimizers.SGD(1.0), dtype, at_once)
    update = _first_update(name, variant, at_once)
    slack = [0.0] * len(rows)
    if variant == "multipliers":
        unscaled = _first_update(name, "plain", at_once)
        factors = [MULTIPLIERS.get(row.name, 1.0) for row in rows]
        update = [factor * size for factor, size in zip(factors, unscaled, strict=True)]
        slack = [(1 + factor) * _rounding(row) for factor, row in zip(factors, rows, strict=True)]
    limit = {"float32": TOLERANCE, "mixed_bfloat16": 0.02, "mixed_float16": 0.005}[dtype]
    for place, row in enumerate(rows):
        for quantity, truth in (("gradient_norm", gradient), ("update_norm", update)):
            value = float(run[f"{quantity}_per_update"].values[0, place])
            excess = max(0.0, abs(value - truth[place]) - slack[place])
            error = excess / truth[place] if truth[place] else excess
            found.error = max(found.error, error if dtype == "float32" else 0.0)
            if not error <= limit:
                found.faults.append(
                    f"{quantity} of {row.name}: {value:.9g}, should be {truth[place]:.9g}"
                )


def _rounding(row: Any) -> float:
    """Returns the most by which the rounding of a layer's weights changes its update's norm."""
    spacings = [
        np.spacing(np.abs(keras.ops.convert_to_numpy(v)).astype("float32")) for v in row.variables
    ]
    return float(np.sqrt(sum(np.sum(each.astype("float64") ** 2) for each in spacings)))


def _first_update(name: str, variant: str, batches: int) -> list[float]:
    """Returns how far each layer moves in its first update, from weights in float64."""
    before = [np.array(w, "float64") for w in _network(VARIANTS[variant][1]).get_weights()]
    after = [np.array(w, "float64") for w in _trained(name, variant, batches=batches).get_weights()]
    return _norms(before, after)


def _moved(make: Callable[[], Any], dtype: str, batches: int) -> list[float]:
    """Returns the norm of each layer's gradient, averaged over batches, at the first weights."""
    before = [np.array(w, "float64") for w in _network(dtype).get_weights()]
    total = [np.zeros_like(w) for w in before]
    for at in range(batches):
        model = _network(dtype)
        model.compile(make(), "mse", auto_scale_loss=False)
        own = slice(at * BATCH_SIZE, (at + 1) * BATCH_SIZE)
        count = BATCHES * BATCH_SIZE
        x, y = normal(count, 5)[own], normal(count, 2, seed=1)[own]
        model.fit(x, y, batch_size=BATCH_SIZE, verbose=0)
        for sum_of, first, last in zip(total, before, model.get_weights(), strict=True):
            sum_of += (first - np.array(last, "float64")) / batches
    return _norms([np.zeros_like(w) for w in total], total)


def _norms(before: list[np.ndarray], after: list[np.ndarray]) -> list[float]:
    squares = [np.sum((b - a) ** 2) for a, b in zip(before, after, strict=True)]
    return [
        float(np.sqrt(kernel + bias))
        for kernel, bias in zip(squares[::2], squares[1::2], strict=True)
    ]
