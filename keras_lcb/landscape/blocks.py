"""Curvature of blocks of the Hessian: searches that share the passes of their products."""

from __future__ import annotations

import dataclasses
import functools
import math
from collections.abc import Callable, Generator, Sequence
from typing import Any

import keras
import numpy as np

from keras_lcb.landscape.dialogue import Search, Vectors
from keras_lcb.landscape.hessian import BlockProducts
from keras_lcb.landscape.lanczos import lanczos
from keras_lcb.landscape.objective import ALL, Objective
from keras_lcb.landscape.subspace import Spectrum
from keras_lcb.landscape.trace import remaining_trace
from keras_lcb.landscape.vectors import norm
from keras_lcb.training.layers import TrackedLayer

# Lanczos and the trace take this many products or more, after which a block is known exactly.
_DENSE_UP_TO = 40
_DENSE_FOR_ONE = 12


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

    Raises:
        ValueError: For numbers out of range.
    """

    top_k: int = 1
    tolerance: float = 1e-3
    trace_samples: int = 0
    both_ends: bool = True
    most_products: int = 300
    dense_up_to: int = _DENSE_UP_TO

    def __post_init__(self) -> None:
        _check_count("top_k", self.top_k, least=1)
        _check_count("trace_samples", self.trace_samples, least=0)
        if self.trace_samples == 1:
            raise ValueError(
                "`trace_samples` is 2 or more, since one vector has no standard error, or 0 for no "
                "trace; received 1."
            )
        if not 0 < float(self.tolerance) < 1:
            raise ValueError(
                f"`tolerance` is a residual between 0 and 1; received {self.tolerance!r}."
            )


@dataclasses.dataclass(frozen=True)
class BlockCurvature:
    """The curvature of a block of the Hessian."""

    spectrum: Spectrum
    trace: float
    trace_standard_error: float
    products: int


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
        starts: Vectors to begin with, random ones for those rows that have none. By default
            searches begin between gradient and random vector.
        progress: Whether to show a bar.

    Returns:
        One result a row.
    """
    given = [None] * len(rows) if starts is None else starts
    bar = keras.utils.Progbar(len(rows), unit_name="layer") if progress else None
    found: dict[int, BlockCurvature] = {}
    # A pass for the whole model goes all the way down: layers are better off without it.
    parts = [place for place, row in enumerate(rows) if row.name != ALL]
    whole = [place for place, row in enumerate(rows) if row.name == ALL]
    for places in filter(None, (parts, whole)):
        products = BlockProducts(objective, [rows[place] for place in places])
        searches = [
            functools.partial(
                _measured,
                size,
                products.dtype,
                accuracy,
                np.random.default_rng([seed, place]),
                given[place],
            )
            for place, size in zip(places, products.sizes, strict=True)
        ]
        from_gradients = starts is None and max(products.sizes) > accuracy.dense_up_to

        def done(index: int, result: BlockCurvature, places: list[int] = places) -> None:
            found[places[index]] = result
            if bar is not None:
                bar.add(1)

        products.answer(_in_step(searches, from_gradients, done))
    return [found[place] for place in range(len(rows))]


Steps = Generator[np.ndarray, np.ndarray, BlockCurvature]


def _in_step(
    searches: Sequence[Callable[[np.ndarray | None], Steps]],
    from_gradients: bool,
    done: Callable[[int, BlockCurvature], None],
) -> Search:
    """Searches all blocks as one, since one pass multiplies the vectors of all of them."""
    gradients: Vectors = (yield None) if from_gradients else [None] * len(searches)
    steps = [search(gradient) for search, gradient in zip(searches, gradients, strict=True)]
    vectors: Vectors = [next(search) for search in steps]
    while any(vector is not None for vector in vectors):
        for place, product in enumerate((yield vectors)):
            if product is None:
                continue
            try:
                vectors[place] = steps[place].send(_checked(product))
            except StopIteration as end:
                vectors[place] = None
                done(place, end.value)


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
    gradient: np.ndarray | None,
) -> Steps:
    """The search for one block's curvature; yields vectors and is sent their products."""
    if size <= accuracy.dense_up_to:
        spectrum = yield from _dense(size, dtype)
    else:
        spectrum = yield from lanczos(
            (_start(size, random, gradient) if start is None else start).astype(dtype),
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


def _start(size: int, random: np.random.Generator, gradient: np.ndarray | None) -> np.ndarray:
    """A random vector and the gradient, as long as each other, added.

    Most of a gradient lies along the few directions of large curvature (Gur-Ari and others 2018,
    "Gradient Descent Happens in a Tiny Subspace"), which saves products. It may have nothing of
    the largest one, so that as much comes from a vector that has something of all of them.
    """
    vector = random.standard_normal(size)
    length = 0.0 if gradient is None else norm(gradient)
    if gradient is None or not 0.0 < length < math.inf:
        return vector
    return vector / norm(vector) + gradient.astype(np.float64) / length


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
        outside=(),
        shares=np.zeros((0, size)),
        trace=float(np.trace(matrix)),
        products=size,
    )


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


def _check_count(name: str, value: Any, least: int) -> None:
    whole = isinstance(value, int | np.integer) and not isinstance(value, bool)
    if not whole or value < least:
        raise ValueError(f"`{name}` is a whole number, {least} or more; received {value!r}.")
