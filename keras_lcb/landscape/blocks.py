"""Curvature of blocks of the Hessian: one search for each block, with shared passes."""

from __future__ import annotations

import dataclasses
import functools
import math
from collections.abc import Callable, Generator, Sequence

import keras
import numpy as np

from keras_lcb.config import is_between, whole_number
from keras_lcb.landscape.hessian import BlockProducts
from keras_lcb.landscape.host_search import Search, Vectors
from keras_lcb.landscape.host_vectors import norm
from keras_lcb.landscape.lanczos import lanczos
from keras_lcb.landscape.objective import ALL, Objective
from keras_lcb.landscape.subspace import Spectrum
from keras_lcb.landscape.trace import remaining_trace
from keras_lcb.training.layers import TrackedLayer

# Blocks of up to this many parameters are computed as a whole, with one product for each
# parameter. Lanczos and the trace would need at least as many products.
_DENSE_UP_TO = 40
_DENSE_UP_TO_FOR_LARGEST = 12  # when only the largest eigenvalue is wanted


@dataclasses.dataclass(frozen=True)
class Accuracy:
    """How accurately to measure the curvature of a block, and at what cost.

    Attributes:
        top_k: Number of largest eigenvalues to find.
        tolerance: Relative residual at which an eigenvalue counts as found.
        trace_samples: Number of random vectors for the trace; 0 for no trace.
        both_ends: Whether the smallest eigenvalue has to converge, too.
        most_products: Number of products after which the search for eigenvalues ends.
        dense_up_to: Blocks of up to this many parameters are computed as a whole.

    Raises:
        ValueError: If a number is out of its range.
    """

    top_k: int = 1
    tolerance: float = 1e-3
    trace_samples: int = 0
    both_ends: bool = True
    most_products: int = 300
    dense_up_to: int = _DENSE_UP_TO

    def __post_init__(self) -> None:
        whole_number("top_k", self.top_k, least=1)
        whole_number("trace_samples", self.trace_samples, least=0)
        if self.trace_samples == 1:
            raise ValueError(
                "`trace_samples` must be 0 (no trace), or 2 or more, because one sample gives no "
                "standard error; received 1."
            )
        if not is_between(self.tolerance, 0, 1):
            raise ValueError(
                "`tolerance`, a relative residual, must be a number between 0 and 1; received "
                f"{self.tolerance!r}."
            )


@dataclasses.dataclass(frozen=True)
class BlockCurvature:
    """The curvature of a block of the Hessian.

    Attributes:
        spectrum: What the products have shown of its eigenvalues.
        trace: Its trace; NaN if it was not measured.
        trace_standard_error: Standard error of the trace; 0 if the trace is exact.
        products: Number of Hessian-vector products.
    """

    spectrum: Spectrum
    trace: float
    trace_standard_error: float
    products: int


def largest_eigenvalues(
    objective: Objective, rows: Sequence[TrackedLayer], *, seed: int = 0, tolerance: float = 1e-3
) -> np.ndarray:
    """Returns the largest eigenvalue of each layer's block of the Hessian.

    Args:
        objective: The loss.
        rows: The layers.
        seed: Seed of the start vectors.
        tolerance: Residual, relative to the eigenvalue, at which the search ends.

    Returns:
        An array with one eigenvalue for each layer.
    """
    accuracy = Accuracy(tolerance=tolerance, both_ends=False, dense_up_to=_DENSE_UP_TO_FOR_LARGEST)
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
    """Measures the curvature of several blocks, which share the passes of their products.

    Args:
        objective: The loss.
        rows: The layers, or groups of layers, one for each block.
        accuracy: How accurately to measure.
        seed: Seed of the random vectors.
        starts: Start vector of each search; `None` in this list means a random vector. By default
            each search starts from the sum of the gradient and a random vector.
        progress: Whether to show a progress bar.

    Returns:
        One result for each row.
    """
    given = [None] * len(rows) if starts is None else starts
    bar = keras.utils.Progbar(len(rows), unit_name="layer") if progress else None
    found: dict[int, BlockCurvature] = {}
    # The backward pass of the whole model reaches its first layer. Products of single layers end
    # earlier, so they do not share a pass with the whole model.
    parts = [place for place, row in enumerate(rows) if row.name != ALL]
    whole = [place for place, row in enumerate(rows) if row.name == ALL]
    for places in filter(None, (parts, whole)):
        products = BlockProducts(objective, [rows[place] for place in places])
        searches = [
            functools.partial(
                _search,
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

        products.answer(_together(searches, from_gradients, done))
    return [found[place] for place in range(len(rows))]


# A search for one block. It yields vectors, and is sent the product of the Hessian with each.
BlockSearch = Generator[np.ndarray, np.ndarray, BlockCurvature]


def _together(
    searches: Sequence[Callable[[np.ndarray | None], BlockSearch]],
    from_gradients: bool,
    done: Callable[[int, BlockCurvature], None],
) -> Search:
    """Joins the searches of all blocks into one search, because their products share a pass.

    Args:
        searches: Functions that start a search, given the gradient of its block or `None`.
        from_gradients: Whether to ask for the gradients first.
        done: Called with the index and the result of each block that has been measured.
    """
    gradients: Vectors = (yield None) if from_gradients else [None] * len(searches)
    started = [search(gradient) for search, gradient in zip(searches, gradients, strict=True)]
    vectors: Vectors = [next(search) for search in started]
    while any(vector is not None for vector in vectors):
        for place, product in enumerate((yield vectors)):
            if product is None:
                continue
            try:
                vectors[place] = started[place].send(finite(product))
            except StopIteration as end:
                vectors[place] = None
                done(place, end.value)


def finite(product: np.ndarray) -> np.ndarray:
    """Returns a product with a block of the Hessian.

    Raises:
        FloatingPointError: If it is NaN or infinite.
    """
    if not np.isfinite(product).all():
        raise FloatingPointError(
            "Received second derivatives of the loss that are NaN or infinite, so the curvature "
            "cannot be measured at these weights. Check whether training has diverged, or whether "
            "the data contain NaN."
        )
    return product


def _search(
    size: int,
    dtype: np.dtype,
    accuracy: Accuracy,
    random: np.random.Generator,
    start: np.ndarray | None,
    gradient: np.ndarray | None,
) -> BlockSearch:
    """Searches for the curvature of one block."""
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
    """Returns the sum of a random vector and the gradient, both scaled to length 1.

    Most of a gradient lies along the few directions of large curvature (Gur-Ari and others 2018,
    "Gradient Descent Happens in a Tiny Subspace"), so that a search from the gradient needs fewer
    products. But the gradient may be orthogonal to the direction of largest curvature, and the
    search would then miss this direction. A random vector has a component along every direction.
    """
    vector = random.standard_normal(size)
    length = 0.0 if gradient is None else norm(gradient)
    if gradient is None or not 0.0 < length < math.inf:
        return vector
    return vector / norm(vector) + gradient.astype(np.float64) / length


def _dense(size: int, dtype: np.dtype) -> Generator[np.ndarray, np.ndarray, Spectrum]:
    """Computes a small block as a whole, column by column."""
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
    """Checks that every layer has at least `top_k` eigenvalues.

    Raises:
        ValueError: If a layer has fewer parameters, and therefore fewer eigenvalues.
    """
    small = min(rows, key=lambda row: row.parameters)
    if top_k > small.parameters:
        raise ValueError(
            f"`top_k` must not exceed the number of parameters of a layer, which is the number of "
            f"its eigenvalues. The layer '{small.name}' has {small.parameters} parameters; "
            f"received top_k={top_k}. Use a smaller `top_k`, or choose other `layers`."
        )
