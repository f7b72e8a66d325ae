"""How curved the loss is along each layer."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Generator, Sequence
from typing import TYPE_CHECKING, Any

import keras
import numpy as np

from keras_lcb.landscape.hessian import BlockProducts
from keras_lcb.landscape.lanczos import lanczos
from keras_lcb.landscape.objective import ALL, BATCH_SIZE, Objective, as_objective
from keras_lcb.landscape.results import dataset
from keras_lcb.landscape.subspace import Spectrum
from keras_lcb.landscape.trace import remaining_trace
from keras_lcb.training.layers import LayerSelection, TrackedLayer

if TYPE_CHECKING:
    import xarray as xr

# Lanczos and the trace take this many products or more, after which a block is known exactly.
_DENSE_UP_TO = 40
_DENSE_FOR_ONE = 12
_NOT_CONVERGED = (
    "The search ended after {} products, before all was found to the tolerance: the residuals "
    "say how far estimates may be from eigenvalues, and there may be larger ones than these."
)


@dataclasses.dataclass(frozen=True)
class Accuracy:
    """How well the curvature of a block is to be known, and at what cost.

    Attributes:
        top_k: How many of the largest eigenvalues.
        tolerance: Largest relative residual of an eigenvalue.
        trace_samples: Random vectors for the trace; 0 for none.
        both_ends: Whether the smallest eigenvalue has to converge, too.
        most_products: Products after which the search for eigenvalues ends.
        dense_up_to: Number of parameters up to which the whole block is computed.
    """

    top_k: int = 1
    tolerance: float = 1e-3
    trace_samples: int = 0
    both_ends: bool = True
    most_products: int = 300
    dense_up_to: int = _DENSE_UP_TO


@dataclasses.dataclass(frozen=True)
class BlockCurvature:
    """The curvature of a block of the Hessian."""

    spectrum: Spectrum
    trace: float
    trace_standard_error: float
    products: int


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
    training: bool = False,
    batch_size: int = BATCH_SIZE,
    seed: int = 0,
    progress: bool = False,
) -> xr.Dataset:
    """Measures how curved the loss over the data is along each layer, and along all of them.

    A layer's block of the Hessian holds the second derivatives of the loss with respect to that
    layer's weights, all others fixed. Its largest and smallest eigenvalues come from one Krylov
    space (Lanczos with full re-orthogonalisation), its trace from that space and random vectors
    (Hutch++). Blocks of up to 40 parameters are computed as a whole, so that their trace is
    exact. The Hessian is never stored: all blocks share the passes through the model that their
    products with vectors take.

    Curvature is not flatness: rescaling a layer, which a following ReLU or normalisation can
    undo, changes it (Dinh et al., "Sharp Minima Can Generalize For Deep Nets", 2017). So
    `scaled_eigenvalue`, which such a rescaling leaves as it is, stands beside `eigenvalue`.

    Args:
        model: A built and compiled model; or an `Objective`, which has the data already, and
            whose compiled functions a second call does not compile again.
        x: Inputs.
        y: Targets.
        layers: Which layers, see `keras_lcb.training.layers.select_layers`; in a list, "(all)"
            stands for the whole model. Defaults to all that train, and the whole model.
        top_k: How many of the largest eigenvalues. Defaults to 1.
        trace_samples: Random vectors for the trace, two or more; 0 for no trace. Defaults to 10.
        tolerance: Largest residual of an eigenvalue, relative to it. The smallest eigenvalue's
            is relative to the largest magnitude. Defaults to 0.001.
        sample_weight: Weights of the samples.
        training: Whether layers behave as in training: normalisation with the statistics of the
            data, dropout. Defaults to `False`.
        batch_size: Most samples at once, which bounds the memory. Defaults to 512.
        seed: Of the vectors to begin with and of those for the trace. Defaults to 0.
        progress: Whether to show a bar. Defaults to `False`.

    Returns:
        An `xarray.Dataset` with `eigenvalue` (layer, rank), the largest in the sense of their
        sign, in descending order, equal ones as often as there are; `residual` (layer, rank),
        ‖Hv − λv‖ / |λ| of each with its unit vector v; `scaled_eigenvalue` (layer, rank), λ times
        the squared norm of the weights of the block; and, for each layer, `smallest_eigenvalue`
        and `smallest_residual`, its residual relative to the largest magnitude of an eigenvalue;
        `trace` and `trace_standard_error`; and `products`, how many products were taken. The
        attribute `mode` is "evaluation" or "training".

    Raises:
        ValueError: For an unknown layer, more eigenvalues than a block has, settings out of
            range, and what `Objective` refuses.

    Example:
    >>> inputs = keras.Input((2,))
    >>> model = keras.Model(inputs, keras.layers.Dense(1, use_bias=False, name="line")(inputs))
    >>> model.compile(loss="mse")  # its Hessian is 2xᵀx/n
    >>> found = curvature(model, np.diag([1.0, 3.0]), np.zeros((2, 1)), layers=["line"])
    >>> found.eigenvalue.sel(layer="line", rank=1).item()
    9.0
    >>> found.smallest_eigenvalue.sel(layer="line").item(), found.trace.sel(layer="line").item()
    (1.0, 10.0)
    """
    accuracy = Accuracy(
        checked_count("top_k", top_k, least=1),
        checked_tolerance(tolerance),
        checked_trace_samples(trace_samples),
    )
    objective = as_objective(
        model, x, y, sample_weight=sample_weight, training=training, batch_size=batch_size
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
            "seed": int(seed),
        },
        coords={"rank": np.arange(1, top_k + 1)},
        missing=missing,
    )
    return run.assign_attrs(mode="training" if objective.training else "evaluation")


def largest_eigenvalues(
    objective: Objective, rows: Sequence[TrackedLayer], *, seed: int = 0, tolerance: float = 1e-3
) -> np.ndarray:
    """The largest eigenvalue of each layer's block of the Hessian.

    Args:
        objective: The loss.
        rows: The layers.
        seed: Of the vectors to begin with.
        tolerance: Largest residual, relative to the eigenvalue.

    Returns:
        One number a layer.
    """
    accuracy = Accuracy(tolerance=tolerance, both_ends=False, dense_up_to=_DENSE_FOR_ONE)
    found = measure(objective, rows, accuracy, seed=seed)
    return np.array([block.spectrum.eigenvalues[0] for block in found])


def measure(
    objective: Objective,
    rows: Sequence[TrackedLayer],
    accuracy: Accuracy,
    *,
    seed: int,
    starts: Sequence[np.ndarray | None] | None = None,
    progress: bool = False,
) -> list[BlockCurvature]:
    """Measures the curvature of several blocks, their products taken together.

    Args:
        objective: The loss.
        rows: The layers, or groups of them.
        accuracy: How well.
        seed: Of the random vectors.
        starts: Vectors to begin with, for those rows that have one.
        progress: Whether to show a bar.

    Returns:
        One result a row.
    """
    bar = keras.utils.Progbar(len(rows), unit_name="layer") if progress else None
    found: dict[int, BlockCurvature] = {}
    # A pass for the whole model goes all the way down: layers are better off without it.
    parts = [place for place, row in enumerate(rows) if row.name != ALL]
    whole = [place for place, row in enumerate(rows) if row.name == ALL]
    for places in filter(None, (parts, whole)):
        products = BlockProducts(objective, [rows[place] for place in places])
        measured = [
            _measured(
                size,
                products.dtype,
                accuracy,
                np.random.default_rng([seed, place]),
                starts[place] if starts is not None else None,
            )
            for place, size in zip(places, products.sizes, strict=True)
        ]
        for index, result in _together(products, measured):
            found[places[index]] = result
            if bar is not None:
                bar.add(1)
    return [found[place] for place in range(len(rows))]


Steps = Generator[np.ndarray, np.ndarray, BlockCurvature]


def _together(
    products: Callable[[list[np.ndarray | None]], list[np.ndarray | None]], steps: Sequence[Steps]
) -> Generator[tuple[int, BlockCurvature], None, None]:
    """Runs several searches in step, since one call multiplies the vectors of all of them."""
    vectors: list[np.ndarray | None] = [next(search) for search in steps]
    while any(vector is not None for vector in vectors):
        multiplied = products(vectors)
        for place, product in enumerate(multiplied):
            if product is None:
                continue
            try:
                vectors[place] = steps[place].send(_checked(product))
            except StopIteration as end:
                vectors[place] = None
                yield place, end.value


def _checked(product: np.ndarray) -> np.ndarray:
    if not np.isfinite(product).all():
        raise FloatingPointError(
            "The second derivatives of the loss are NaN or infinite at these weights, so there "
            "is no curvature to measure. Has training diverged, or do the data hold NaN?"
        )
    return product


def _measured(
    size: int,
    dtype: np.dtype,
    accuracy: Accuracy,
    random: np.random.Generator,
    start: np.ndarray | None,
) -> Steps:
    """The search for one block's curvature; yields vectors and is sent their products."""
    if size <= accuracy.dense_up_to:
        spectrum = yield from _dense(size, dtype)
    else:
        spectrum = yield from lanczos(
            random.standard_normal(size).astype(dtype) if start is None else start.astype(dtype),
            accuracy.top_k,
            tolerance=accuracy.tolerance,
            most_products=max(accuracy.most_products, accuracy.top_k),
            random=random,
            both_ends=accuracy.both_ends,
        )
    trace, error, samples = math.nan, math.nan, 0
    if len(spectrum.basis) == size:
        trace, error = spectrum.trace, 0.0
    elif accuracy.trace_samples:
        samples = accuracy.trace_samples
        rest, error = yield from remaining_trace(spectrum.basis, samples, random)
        trace = spectrum.trace + rest
    return BlockCurvature(spectrum, trace, error, spectrum.products + samples)


def _dense(size: int, dtype: np.dtype) -> Generator[np.ndarray, np.ndarray, Spectrum]:
    """All of a small block, column by column."""
    basis = np.eye(size, dtype=dtype)
    columns = []
    for vector in basis:
        product = yield vector
        columns.append(product.astype(np.float64))
    matrix = np.stack(columns, axis=1)
    values, vectors = np.linalg.eigh((matrix + matrix.T) / 2)
    return Spectrum(
        eigenvalues=values[::-1],
        residuals=np.linalg.norm(matrix @ vectors - vectors * values, axis=0)[::-1],
        coordinates=vectors[:, ::-1],
        basis=basis,
        trace=float(np.trace(matrix)),
        products=size,
    )


def tabulate(
    rows: Sequence[TrackedLayer],
    found: Sequence[BlockCurvature],
    norms: np.ndarray,
    accuracy: Accuracy,
) -> tuple[dict[str, tuple[tuple[str, ...], np.ndarray]], dict[str, str]]:
    """The results as variables of a run, and what is to be said of them.

    Args:
        rows: The layers.
        found: Their curvature.
        norms: Squared norm of the weights of each.
        accuracy: What was asked for.

    Returns:
        Name to dims and values, and `{"variable/layer": reason}` for values that are missing or
        did not converge.
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
    """Relative to the largest magnitude, since the smallest may well be zero."""
    scale = float(np.abs(spectrum.eigenvalues).max())
    return float(spectrum.residuals[-1]) / scale if scale else 0.0


def squared_norms(objective: Objective, rows: Sequence[TrackedLayer]) -> np.ndarray:
    """Squared norm of the weights of each layer."""
    return np.array([sum(map(_squared_norm, objective.weights(row))) for row in rows])


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


def check_top_k(top_k: int, rows: Sequence[TrackedLayer]) -> None:
    """Refuses to look for more eigenvalues than there are.

    Raises:
        ValueError: If a layer has fewer parameters.
    """
    small = min(rows, key=lambda row: row.parameters)
    if top_k > small.parameters:
        raise ValueError(
            f"`top_k` is {top_k}, and the layer '{small.name}' has only {small.parameters} "
            "parameters, so as many eigenvalues: ask for fewer, or choose other `layers`."
        )


def checked_count(name: str, value: Any, least: int) -> int:
    """A whole number that is large enough.

    Raises:
        ValueError: If it is not.
    """
    whole = isinstance(value, (int, np.integer)) and not isinstance(value, bool)
    if not whole or value < least:
        raise ValueError(f"`{name}` is a whole number, {least} or more; received {value!r}.")
    return int(value)


def checked_trace_samples(value: Any) -> int:
    """A number of random vectors that has a standard error, or none at all.

    Raises:
        ValueError: If it is not.
    """
    if checked_count("trace_samples", value, least=0) == 1:
        raise ValueError(
            "`trace_samples` is 2 or more, since one vector has no standard error, or 0 for no "
            "trace; received 1."
        )
    return int(value)


def checked_tolerance(value: Any) -> float:
    """A relative residual.

    Raises:
        ValueError: If it is not between 0 and 1.
    """
    if not 0 < float(value) < 1:
        raise ValueError(f"`tolerance` is a residual between 0 and 1; received {value!r}.")
    return float(value)
