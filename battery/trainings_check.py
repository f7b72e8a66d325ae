"""Checks what the callbacks say of a training against the weights after each batch."""

from __future__ import annotations

from types import ModuleType
from typing import Any

import keras
import numpy as np

import keras_lcb as lcb
from battery.models_check import TOLERANCE, Checked, _float64, _spacing
from keras_lcb.training.layers import tracked_layers

BATCHES = 6


def check(module: ModuleType) -> Checked:
    """Trains with the callbacks and without, and compares runs, weights and updates."""
    found = Checked()
    convergence, norms = lcb.LayerConvergence(), lcb.GradientNorms()
    model, one_update, weights = _trained(module, convergence, norms)
    plain, _, _ = _trained(module)
    run = lcb.collect(convergence, norms)
    rows = tracked_layers(model).layers
    found.layers, found.parameters = len(rows), sum(row.parameters for row in rows)
    _check_weights(found, model, plain)
    if list(run.layer.values) != [row.name for row in rows]:
        found.faults.append("the run has other layers than the model")
    for place, row in enumerate(rows):
        way = [weights[0][id(v)] - weights[-1][id(v)] for v in row.variables]
        _compare(found, f"distance of {row.name}", run.distance.values[0, place], _size(way), 0.0)
        for batch in range(1, BATCHES + 1) if one_update else ():
            before, after = weights[batch - 1], weights[batch]
            moved = _size([after[id(v)] - before[id(v)] for v in row.variables])
            rounding = _size([_spacing(v, after[id(v)]) for v in row.variables])
            value = run.update_norm.values[batch, place]
            _compare(found, f"update {batch} of {row.name}", value, moved, rounding)
    gradients = run.gradient_norm.values[1:]
    trains = [any(v.trainable for v in row.variables) for row in rows]
    if not np.isfinite(gradients[:, trains]).all():
        found.faults.append("a gradient norm is missing or not finite")
    return found


def _compare(found: Checked, what: str, value: float, truth: float, rounding: float) -> None:
    excess = max(0.0, abs(value - truth) - rounding)
    error = excess / truth if truth else excess
    found.error = max(found.error, error)
    if not error <= TOLERANCE:
        found.faults.append(f"{what}: {value:.9g}, should be {truth:.9g}")


def _size(arrays: list[np.ndarray]) -> float:
    return float(np.sqrt(sum(np.sum(each**2) for each in arrays)))


def _trained(module: ModuleType, *callbacks: Any) -> tuple[keras.Model, bool, list[Any]]:
    keras.backend.clear_session()
    keras.utils.set_random_seed(0)
    training = module.make()
    model = training.model
    kept: list[dict[int, np.ndarray]] = []

    def keep() -> None:
        kept.append({id(v): _float64(v) for v in model.weights})

    if training.loop is not None:
        keep()
        if not callbacks:
            training.loop(keep)
            return model, training.one_update, kept
        with lcb.track(model, *callbacks) as tracker:

            def after_update() -> None:
                keep()
                tracker.record()

            training.loop(after_update)
        return model, training.one_update, kept
    watching = keras.callbacks.LambdaCallback(
        on_epoch_begin=lambda epoch, logs: None if kept else keep(),
        on_epoch_end=lambda epoch, logs: keep(),
    )
    assert training.data is not None
    samples = len(keras.tree.flatten(training.data["x"])[0])
    options = {"epochs": BATCHES, "batch_size": samples, "shuffle": False, "verbose": 0}
    model.fit(**training.data, **options, callbacks=[watching, *callbacks])
    return model, training.one_update, kept


def _check_weights(found: Checked, one: keras.Model, other: keras.Model) -> None:
    exact = keras.backend.backend() != "jax"  # XLA may fuse the longer program in another way
    for ours, plain in zip(one.weights, other.weights, strict=True):
        a, b = _float64(ours), _float64(plain)
        if not (np.array_equal(a, b) if exact else np.allclose(a, b, rtol=1e-3, atol=1e-5)):
            found.faults.append(f"weights {ours.path} differ from a plain run")
