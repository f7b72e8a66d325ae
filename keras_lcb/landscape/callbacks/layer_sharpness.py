"""The `LayerSharpness` callback: how curved the loss is along each layer, during training."""

from __future__ import annotations

import dataclasses
import math
from typing import TYPE_CHECKING, Any

import numpy as np

from keras_lcb.callbacks.recorder import Record
from keras_lcb.landscape.callbacks.loss_recorder import LossRecorder
from keras_lcb.training.layers import TrackedLayer
from keras_lcb.training.selection import LayerSelection

if TYPE_CHECKING:
    from keras_lcb.landscape.blocks import BlockCurvature

# Each search starts from the eigenvectors of the previous record, because they change slowly. A
# small random vector is added, so that the search can find a direction that has become steeper. Its
# length is below the default tolerance: where little has changed, one product is enough.
_RANDOM_PART = 0.05
_MOST_PRODUCTS = 30
_FROZEN = "In some records the layer was frozen, so it had no block of the Hessian."
_NOT_FINITE = "At update {} the second derivatives of the loss were NaN or infinite."


class LayerSharpness(LossRecorder):
    """Records the largest eigenvalues of each layer's block of the Hessian.

    The loss is the compiled one, averaged over the samples that you give, because callbacks never
    see the training data. A few dozen to a few hundred samples are enough for a plot.

    The search of each record starts from the eigenvectors of the previous record, and ends at a
    tolerance that is enough for a plot. The run also holds the residual of each eigenvalue. If
    another direction has become the steepest since the previous record, the search may still return
    the eigenvalue of the old direction, and the residual does not show this. A smaller tolerance
    makes this less likely. For exact spectra, the smallest eigenvalue and the whole model, use
    `landscape.curvature`.

    The cost of a record is at most 30 Hessian-vector products for each layer and eigenvalue, often
    only a few, and `trace_samples` products for the trace. All layers share the passes of their
    products.

    Args:
        x: Inputs: arrays, or a data set as `fit` takes it. A data set is read once into memory, at
            the construction of the callback; see `keras_lcb.landscape.Objective`. This pass
            advances the random state of a data set that shuffles: a training on the same object
            then sees another order.
        y: Targets; `None` for a data set, and for a model whose losses need no targets.
        every: When to record: "epoch" for the end of each epoch, or a number of updates n. A record
            is then taken when Keras calls back for the first time at or after each multiple of n.
            Defaults to "epoch".
        top_k: Number of largest eigenvalues to find. Defaults to 1.
        layers: The layers to measure, see `keras_lcb.training.selection.select_layers`. Defaults to
            all layers that own trainable variables.
        trace_samples: Number of random vectors for the trace of each block: two or more, or 0 for
            no trace. Defaults to 0.
        tolerance: Residual at which an eigenvalue counts as found, relative to the eigenvalue. The
            relative error of the eigenvalue is usually about the square of the residual. Defaults
            to 0.1.
        sample_weight: Weights of the samples; `None` for a data set.
        steps: Number of batches to read from a data set. Defaults to `None`: all batches.
        loss: A loss to use instead of the compiled one, see `keras_lcb.landscape.Objective`.
            Defaults to `None`.
        training: Whether layers behave as in training: normalization uses the statistics of the
            data, and dropout is active. Defaults to `False`: as in evaluation.
        batch_size: Largest number of samples processed at once, which bounds the memory. Defaults
            to 512.
        seed: Seed of the random vectors. Defaults to 0.

    Attributes:
        results: The run, an `xarray.Dataset`, with `eigenvalue`, `residual` (relative to the
            eigenvalue) and `scaled_eigenvalue` (times the squared norm of the layer's weights),
            each over (step, layer, rank); with `trace_samples`, also `trace` and
            `trace_standard_error` (step, layer). The attribute `mode` is "evaluation" or
            "training".

    Raises:
        ValueError: If a setting is out of its range, or arrays have different lengths. When
            training begins, if a layer is unknown, a layer has fewer than `top_k` parameters, or
            the model has no loss.

    Example:
    >>> import numpy as np
    >>> import keras
    >>> keras.utils.set_random_seed(0)
    >>> hidden, head = keras.layers.Dense(4, "tanh", name="a"), keras.layers.Dense(1, name="b")
    >>> model = keras.Sequential([keras.Input((2,)), hidden, head])
    >>> model.compile("sgd", "mse")
    >>> x, y = np.eye(2), np.ones((2, 1))
    >>> sharpness = LayerSharpness(x, y)
    >>> history = model.fit(x, y, epochs=2, verbose=0, callbacks=[sharpness])
    >>> dict(sharpness.results.eigenvalue.sizes)
    {'step': 3, 'layer': 2, 'rank': 1}
    """

    def __init__(
        self,
        x: Any,
        y: Any = None,
        every: str | int = "epoch",
        top_k: int = 1,
        layers: LayerSelection = None,
        *,
        trace_samples: int = 0,
        tolerance: float = 0.1,
        sample_weight: Any = None,
        steps: int | None = None,
        loss: Any = None,
        training: bool = False,
        batch_size: int = 512,
        seed: int = 0,
    ) -> None:
        from keras_lcb.config import whole_number
        from keras_lcb.landscape.blocks import Accuracy

        accuracy = Accuracy(top_k, tolerance, trace_samples)
        self.top_k, self.trace_samples = int(top_k), int(trace_samples)
        self.tolerance = float(tolerance)
        self._accuracy = dataclasses.replace(
            accuracy,
            both_ends=False,
            most_products=_MOST_PRODUCTS * self.top_k,
            dense_up_to=self.top_k + 1,
        )
        self.seed = whole_number("seed", seed, least=0)
        super().__init__(
            x,
            y,
            every,
            layers,
            sample_weight=sample_weight,
            steps=steps,
            loss=loss,
            training=training,
            batch_size=batch_size,
        )

    def reset(self) -> None:
        """Forgets everything recorded, so that the next `fit` begins a new run."""
        super().reset()
        self._starts: dict[str, np.ndarray] = {}  # by layer, from the newest record

    def attached(self) -> None:
        """Checks that the model can be measured."""
        from keras_lcb.landscape.blocks import check_top_k

        super().attached()
        check_top_k(self.top_k, self._training_rows())

    def _training_rows(self) -> list[TrackedLayer]:
        """Returns the measured layers, with only their variables that train."""
        objective = self._objective
        rows = [part for row in self._rows if (part := objective.moving(row)) is not None]
        if not rows:
            raise ValueError(
                "All layers that `layers` selects are frozen; at least one must be trainable. "
                "Select other layers, or unfreeze one of them."
            )
        return rows

    # Recording.

    def measure(self) -> Record:
        """Measures the layers at the current weights."""
        from keras_lcb.landscape.blocks import measure
        from keras_lcb.landscape.curvature import squared_norms, tabulate

        rows, objective, accuracy = self._training_rows(), self._objective, self._accuracy
        self._note_frozen(rows)
        step = self._updates.now()
        try:
            found = measure(
                objective,
                rows,
                accuracy,
                seed=self.seed + len(self._records),
                starts=[self._start(row) for row in rows],
            )
        except FloatingPointError:  # training has diverged; it continues without these values
            self._missing["eigenvalue"] = _NOT_FINITE.format(step)
            self._starts = {}
            return self._all_missing()
        self._starts = {
            row.name: self._next_start(block) for row, block in zip(rows, found, strict=True)
        }
        values, _ = tabulate(rows, found, squared_norms(objective, rows), accuracy)
        place = {row.name: index for index, row in enumerate(rows)}
        order = [place.get(row.name, -1) for row in self._rows]
        return {name: _reordered(values[name][1], order) for name in self._all_missing()}

    def _note_frozen(self, rows: list[TrackedLayer]) -> None:
        training = {row.name for row in rows}
        frozen = [row.name for row in self._rows if row.name not in training]
        names = self._all_missing()
        self._missing |= {f"{name}/{row}": _FROZEN for name in names for row in frozen}

    def _start(self, row: TrackedLayer) -> np.ndarray | None:
        """Returns the start vector of a layer's search; `None` for a random one."""
        known = self._starts.get(row.name)
        if known is None or known.size != row.parameters:
            return None
        from keras_lcb.landscape.host_vectors import norm

        random = np.random.default_rng([self.seed, len(self._records), known.size])
        noise = random.standard_normal(known.size)
        return known / norm(known) + _RANDOM_PART / norm(noise) * noise

    def _next_start(self, block: BlockCurvature) -> np.ndarray:
        """Returns the start vector for the next record, without its random part.

        This is the sum of the eigenvectors, after one step of the power method. The step increases
        the component along a steeper direction from record to record, even if each record computes
        only one product (as in Miyato and others 2018, "Spectral Normalization").
        """
        spectrum = block.spectrum
        largest = float(np.abs(spectrum.eigenvalues).max())
        return np.sum(
            [
                spectrum.vector(rank) + spectrum.residual(rank) / (largest or 1.0)
                for rank in range(self.top_k)
            ],
            axis=0,
        )

    def _all_missing(self) -> Record:
        """Returns a record in which every value is NaN."""
        layers = len(self._rows)
        record: Record = {name: np.full((layers, self.top_k), math.nan) for name in _RANKED}
        if self.trace_samples:
            record |= {name: np.full(layers, math.nan) for name in _SINGLE}
        return record

    # The run.

    def coordinates(self) -> dict[str, Any]:
        """Returns the coordinates of the dimensions other than `step` and `layer`."""
        return {"rank": np.arange(1, self.top_k + 1)}

    def attributes(self) -> dict[str, Any]:
        """Returns the attributes of the run."""
        return {"mode": "training" if self.training else "evaluation"}

    def settings(self) -> dict[str, Any]:
        """Returns the settings."""
        return {
            **super().settings(),
            "top_k": self.top_k,
            "tolerance": self.tolerance,
            "trace_samples": self.trace_samples,
            "seed": self.seed,
        }


_RANKED = ("eigenvalue", "residual", "scaled_eigenvalue")
_SINGLE = ("trace", "trace_standard_error")


def _reordered(values: np.ndarray, order: list[int]) -> np.ndarray:
    """Returns the rows of `values` in the given order; a row of NaN for the index -1."""
    missing = np.full((1, *values.shape[1:]), math.nan)
    return np.concatenate([values, missing])[order]
