"""How curved the loss is along each layer."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import keras
import numpy as np

from keras_lcb.config import whole_number
from keras_lcb.landscape.blocks import Accuracy, BlockCurvature, check_top_k, measure
from keras_lcb.landscape.objective import ALL, BATCH_SIZE, Objective, as_objective
from keras_lcb.landscape.results import dataset
from keras_lcb.landscape.subspace import Spectrum
from keras_lcb.training.layers import TrackedLayer
from keras_lcb.training.selection import LayerSelection

if TYPE_CHECKING:
    import xarray as xr

_NOT_CONVERGED = (
    "The search ended after {} products, before all eigenvalues had converged. Each residual "
    "bounds how far the estimate is from an eigenvalue. There may be larger eigenvalues."
)


def curvature(
    model: keras.Model | Objective,
    x: Any = None,
    y: Any = None,
    *,
    layers: LayerSelection = None,
    top_k: int = 1,
    trace_samples: int = 10,
    tolerance: float = 1e-3,
    sample_weight: Any = None,
    steps: int | None = None,
    loss: Any = None,
    training: bool = False,
    batch_size: int = BATCH_SIZE,
    seed: int = 0,
    progress: bool = False,
) -> xr.Dataset:
    """Measures how curved the loss over the data is along each layer, and along all layers.

    A layer's block of the Hessian holds the second derivatives of the loss with respect to the
    weights of that layer, with all other weights fixed. Its largest and smallest eigenvalues come
    from one Krylov space: Lanczos with full re-orthogonalisation, started from the sum of the
    gradient and a random vector. Its trace comes from that space and from random vectors (Hutch++).
    Blocks of up to 40 parameters are computed as a whole, so that their trace is exact. The Hessian
    is never stored.

    The cost is one Hessian-vector product for each vector of the search, typically some dozens for
    a layer, and `trace_samples` products for the trace. All layers share the forward and backward
    passes of their products. The result `products` says how many products there were.

    Large curvature does not mean that a minimum is sharp in a useful sense: rescaling a layer
    changes its curvature, even if a following ReLU or normalization undoes the rescaling (Dinh et
    al., "Sharp Minima Can Generalize For Deep Nets", 2017). `scaled_eigenvalue` does not change
    under such a rescaling. It is a sum over parameters, and so it grows with their number. To
    compare layers of different sizes, use `analysis.eigenvalue_per_parameter` or
    `landscape.filter_curvature`.

    Args:
        model: A built and compiled model; or an `Objective`, which already has the data and the
            loss. A second call with the same `Objective` does not compile again.
        x: Inputs: arrays, or a data set as `fit` takes it. A data set is read once into memory,
            see `Objective`.
        y: Targets; `None` for a data set.
        layers: The layers to measure, see `keras_lcb.training.selection.select_layers`. In a list,
            "(all)" stands for the whole model. Defaults to all layers that train, and the whole
            model.
        top_k: Number of largest eigenvalues to find. Defaults to 1.
        trace_samples: Number of random vectors for the trace: two or more, or 0 for no trace.
            Defaults to 10.
        tolerance: Residual at which an eigenvalue counts as found, relative to the eigenvalue. For
            the smallest eigenvalue it is relative to the largest magnitude. Defaults to 0.001.
        sample_weight: Weights of the samples; `None` for a data set.
        steps: Number of batches to read from a data set. Defaults to `None`: all batches.
        loss: A loss to use instead of the compiled one, see `Objective`. Defaults to `None`.
        training: Whether layers behave as in training: normalization uses the statistics of the
            data, and dropout is active. Defaults to `False`.
        batch_size: Largest number of samples processed at once, which bounds the memory. Defaults
            to 512.
        seed: Seed of the start vectors and of the vectors for the trace. Defaults to 0.
        progress: Whether to show a progress bar. Defaults to `False`.

    Returns:
        An `xarray.Dataset`. With H the block, λ an eigenvalue and v its unit eigenvector, it holds:

        * `eigenvalue` (layer, rank): the largest λ, with their sign, in descending order; an
          eigenvalue that the block has several times appears several times;
        * `residual` (layer, rank): ‖Hv − λv‖ / |λ|;
        * `scaled_eigenvalue` (layer, rank): λ times the squared norm of the weights of the block;
        * `smallest_eigenvalue` (layer);
        * `smallest_residual` (layer): the residual of the smallest eigenvalue, relative to the
          largest magnitude of an eigenvalue;
        * `trace` and `trace_standard_error` (layer), unless `trace_samples` is 0;
        * `products` (layer): number of Hessian-vector products.

        The attribute `mode` is "evaluation" or "training".

    Raises:
        ValueError: If a layer is unknown, a block has fewer than `top_k` eigenvalues, a setting is
            out of its range, or `Objective` refuses the model or the data.
        FloatingPointError: If second derivatives of the loss are NaN or infinite.

    Example:
    >>> import keras
    >>> import numpy as np
    >>> inputs = keras.Input((2,))
    >>> model = keras.Model(inputs, keras.layers.Dense(1, use_bias=False, name="line")(inputs))
    >>> model.compile(loss="mse")  # its Hessian is 2xᵀx/n
    >>> found = curvature(model, np.diag([1.0, 3.0]), np.zeros((2, 1)), layers=["line"])
    >>> found.eigenvalue.sel(layer="line", rank=1).item()
    9.0
    >>> found.smallest_eigenvalue.sel(layer="line").item(), found.trace.sel(layer="line").item()
    (1.0, 10.0)
    """
    accuracy = Accuracy(top_k, tolerance, trace_samples)
    seed = whole_number("seed", seed, least=0)
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
    rows = _rows(objective, layers)
    check_top_k(top_k, rows)
    found = measure(objective, rows, accuracy, seed=seed, progress=progress)
    norms = squared_norms(objective, rows)
    values, missing = tabulate(rows, found, norms, accuracy)
    run = dataset(
        objective,
        rows,
        values,
        name="curvature",
        settings={
            "tolerance": accuracy.tolerance,
            "trace_samples": accuracy.trace_samples,
            "seed": seed,
        },
        coords={"rank": np.arange(1, top_k + 1)},
        missing=missing,
    )
    return run.assign_attrs(mode="training" if objective.training else "evaluation")


def tabulate(
    rows: Sequence[TrackedLayer],
    found: Sequence[BlockCurvature],
    norms: np.ndarray,
    accuracy: Accuracy,
) -> tuple[dict[str, tuple[tuple[str, ...], np.ndarray]], dict[str, str]]:
    """Arranges the results as variables of a run.

    Args:
        rows: The layers.
        found: The curvature of each layer.
        norms: Squared norm of the weights of each layer.
        accuracy: The accuracy that was requested.

    Returns:
        A dict from the name of a variable to its dims and values, and a dict
        `{"variable/layer": reason}` for values that did not converge.
    """
    spectra = [block.spectrum for block in found]
    top_k = accuracy.top_k
    eigenvalue = np.stack([spectrum.eigenvalues[:top_k] for spectrum in spectra])
    residual = np.stack([spectrum.relative_residuals[:top_k] for spectrum in spectra])
    ranked, single = ("layer", "rank"), ("layer",)
    values: dict[str, tuple[tuple[str, ...], np.ndarray]] = {
        "eigenvalue": (ranked, eigenvalue),
        "residual": (ranked, residual),
        "scaled_eigenvalue": (ranked, eigenvalue * norms[:, None]),
        "smallest_eigenvalue": (single, np.array([s.eigenvalues[-1] for s in spectra])),
        "smallest_residual": (single, np.array([_smallest_residual(s) for s in spectra])),
        "products": (single, np.array([block.products for block in found], dtype=np.float64)),
    }
    missing = {
        f"residual/{row.name}": _NOT_CONVERGED.format(spectrum.products)
        for row, spectrum, own in zip(rows, spectra, residual, strict=True)
        if spectrum.products >= accuracy.most_products
        and (top_k > 1 or own[0] > accuracy.tolerance)
    }
    if accuracy.trace_samples:
        values["trace"] = (single, np.array([block.trace for block in found]))
        errors = np.array([block.trace_standard_error for block in found])
        values["trace_standard_error"] = (single, errors)
    return values, missing


def _smallest_residual(spectrum: Spectrum) -> float:
    """Returns the residual relative to the largest magnitude: the smallest eigenvalue may be 0."""
    scale = float(np.abs(spectrum.eigenvalues).max())
    return float(spectrum.residuals[-1]) / scale if scale else 0.0


def squared_norms(objective: Objective, rows: Sequence[TrackedLayer]) -> np.ndarray:
    """Returns the squared norm of the weights of each layer."""
    squares = {
        id(variable): _squared_norm(weight)
        for variable, weight in zip(objective.whole.variables, objective.weights(), strict=True)
    }
    return np.array([sum(squares[id(variable)] for variable in row.variables) for row in rows])


def _squared_norm(weight: Any) -> float:
    return float(np.square(keras.ops.convert_to_numpy(weight).astype(np.float64)).sum())


def _rows(objective: Objective, layers: LayerSelection) -> list[TrackedLayer]:
    whole = dataclasses.replace(objective.whole, role="whole")
    if layers is None:
        return [*objective.layers, whole]
    if callable(layers) or isinstance(layers, str) or ALL not in layers:
        return objective.select(layers)
    names = [name for name in layers if name != ALL]
    return [*(objective.select(names) if names else []), whole]
