"""Evidence that needs the model and data, or variables that few runs hold."""

from __future__ import annotations

from typing import Any

import numpy as np

from keras_lcb.diagnosis.observed import Observed


def dead_on_data(seen: Observed) -> np.ndarray:
    """Returns each layer's share of units without a gradient on the data; NaN without a kernel."""
    import keras

    from keras_lcb.landscape import Objective

    objective = Objective(seen.model, *_parts(seen.data))
    gradients = objective.gradients()
    shares = []
    for name in seen.layers:
        arrays = [keras.ops.convert_to_numpy(each) for each in gradients.get(name, [])]
        kernels = [each for each in arrays if each.ndim >= 2]
        alive = [_alive(kernel, arrays) for kernel in kernels]
        shares.append(1 - np.concatenate(alive).mean() if alive else np.nan)
    return np.array(shares)


def _alive(kernel: np.ndarray, arrays: list[np.ndarray]) -> np.ndarray:
    """Returns which units of a kernel have a gradient, in the kernel or in their bias."""
    alive = (kernel.reshape(-1, kernel.shape[-1]) != 0).any(axis=0)
    for bias in arrays:
        if bias.shape == alive.shape:
            alive = alive | (bias != 0)
    return alive


def stability(seen: Observed) -> dict[str, float]:
    """Returns the largest curvature, divided by the largest one that is stable, if it is known.

    Gradient descent with the learning rate η is unstable in directions whose curvature is above
    2/η; with momentum β, above 2 (1 + β)/η. A run does not hold β, so without the model β is taken
    as 1: what is told then holds with any momentum. Curvature is compared with the rate in force
    where it was measured, and that of a layer with the layer's own rate. That of the model is
    measured at its present weights, so that the last rates are in force. If layers differ, what is
    told holds with the smallest of them.
    """
    if not all("sgd" in kind for kind in seen.optimizer.split("+")):
        return {}
    if seen.model is None:
        products, momentum = seen.largest_along("learning_rate", "eigenvalue"), 1.0
    else:
        rates = seen.rates[np.isfinite(seen.rates).any(axis=1)][-1:]
        products = np.fmin.reduce(rates, axis=1) * _curvature(seen) if len(rates) else rates
        optimizer = getattr(seen.model.optimizer, "inner_optimizer", seen.model.optimizer)
        momentum = float(getattr(optimizer, "momentum", 0.0) or 0.0)
    known = products[np.isfinite(products) & (products > 0)]
    if not len(known):
        return {}
    return {"curvature over largest stable curvature": float(known.max()) / (2 * (1 + momentum))}


def _curvature(seen: Observed) -> float:
    """Returns the largest eigenvalue of the whole Hessian at the model's present weights."""
    from keras_lcb.landscape import curvature

    found = curvature(
        seen.model, *_parts(seen.data), layers=["(all)"], trace_samples=0, tolerance=0.05
    )
    return float(found["eigenvalue"].max())


def data_not_finite(seen: Observed) -> int:
    """Returns how many samples of the data hold NaN or infinity."""
    if seen.data is None:
        return 0
    import keras

    from keras_lcb.landscape.samples import read

    count = 0
    for x, y, _ in read(*_parts(seen.data)).parts:
        broken: Any = 0
        for array in keras.tree.flatten((x, y)):
            if array is not None and array.dtype.kind == "f":
                broken = broken | ~np.isfinite(array.reshape(len(array), -1)).all(axis=1)
        count += int(np.sum(broken))
    return count


def _parts(data: Any) -> tuple[Any, ...]:
    """Returns the arguments of `Objective`: the parts of a tuple, or a data set as it is."""
    return tuple(data) if isinstance(data, tuple) else (data,)
