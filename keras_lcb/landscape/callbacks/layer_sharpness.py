"""The `LayerSharpness` callback: how curved the loss is along each layer, along training."""

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

# From one record to the next a layer's eigenvectors turn, but not so far that the search had
# better begin anew. The random part is for directions that come to be steeper; it is less than
# the default tolerance, so that a single product can do where little has changed.
_RANDOM_PART = 0.05
_MOST_PRODUCTS = 30
_FROZEN = "In some records the layer was frozen, so that it had no block of the Hessian."
_NOT_FINITE = "At update {} the second derivatives were NaN or infinite."


class LayerSharpness(LossRecorder):
    """Records the largest eigenvalues of each layer's block of the Hessian.

    The loss is the compiled one, averaged over the samples that you give: callbacks never see
    the data of training. A few dozen to a few hundred samples will do for a picture. The search
    at each record begins with the eigenvectors of the one before, and ends at a tolerance that
    is enough for a plot; the residual that was reached stands beside each eigenvalue. Where
    another direction has come to be the steepest meanwhile, a record may still hold the former
    one's eigenvalue, which the residual cannot tell: a smaller tolerance makes that rarer. For
    exact spectra, both ends and the whole model, see `landscape.curvature`.

    Args:
        x: Inputs: arrays, or a data set as `fit` takes it, which is read once into memory, now;
            see `keras_lcb.landscape.Objective`. One that shuffles moves on by that pass, as by
            any other, so that a training on the same object sees another order.
        y: Targets; `None` for a data set, and for a model whose losses need none.
        every: When a record is taken: "epoch", or a number of updates n: at the first return to
            the host at or after each multiple of n. Defaults to "epoch".
        top_k: How many of the largest eigenvalues. Defaults to 1.
        layers: Which layers to follow, see `keras_lcb.training.selection.select_layers`. Defaults
            to all that own trainable variables.
        trace_samples: Random vectors for the trace of each block, two or more; 0 for no trace.
            Defaults to 0.
        tolerance: Largest residual of an eigenvalue, relative to it; the error of the eigenvalue
            is mostly its square. Defaults to 0.1.
        sample_weight: Weights of the samples; `None` for a data set.
        steps: How many batches to take of a data set. Defaults to `None`: all of them.
        loss: A loss in place of the compiled one, see `keras_lcb.landscape.Objective`. Defaults
            to `None`.
        training: Whether layers behave as in training (statistics of the batch, dropout).
            Defaults to `False`: as in evaluation.
        batch_size: Most samples at once, which bounds the memory. Defaults to 512.
        seed: Of the random vectors. Defaults to 0.

    Attributes:
        results: The run, an `xarray.Dataset`, with `eigenvalue`, `residual` (relative to the
            eigenvalue) and `scaled_eigenvalue` (times the squared norm of the layer's weights),
            each over (step, layer, rank); with `trace_samples`, also `trace` and
            `trace_standard_error` (step, layer). The attribute `mode` is "evaluation" or
            "training".

    Raises:
        ValueError: For settings out of range, data of different lengths, an unknown layer, more
            eigenvalues than a layer has parameters, or a model that has no loss.

    Example:
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
        self.seed = int(seed)
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
        self._vectors: dict[str, np.ndarray] = {}  # those of the newest record, added up

    def attached(self) -> None:
        """Refuses models that it cannot measure."""
        from keras_lcb.landscape.blocks import check_top_k

        super().attached()
        check_top_k(self.top_k, self._training_rows())

    def _training_rows(self) -> list[TrackedLayer]:
        """What trains of the followed layers."""
        objective = self._objective
        rows = [part for row in self._rows if (part := objective.moving(row)) is not None]
        if not rows:
            raise ValueError("All layers that `layers` chooses are frozen: choose others.")
        return rows

    # Recording.

    def measure(self) -> Record:
        """Measures the layers at the weights as they are."""
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
        except FloatingPointError:  # of a training that has diverged, which goes on all the same
            self._missing["eigenvalue"] = _NOT_FINITE.format(step)
            self._vectors = {}
            return self._nothing()
        self._vectors = {
            row.name: self._vector(block) for row, block in zip(rows, found, strict=True)
        }
        values, _ = tabulate(rows, found, squared_norms(objective, rows), accuracy)
        place = {row.name: index for index, row in enumerate(rows)}
        order = [place.get(row.name, -1) for row in self._rows]
        return {name: _at(order, values[name][1]) for name in self._nothing()}

    def _note_frozen(self, rows: list[TrackedLayer]) -> None:
        training = {row.name for row in rows}
        frozen = [row.name for row in self._rows if row.name not in training]
        self._missing |= {f"{name}/{row}": _FROZEN for name in self._nothing() for row in frozen}

    def _start(self, row: TrackedLayer) -> np.ndarray | None:
        known = self._vectors.get(row.name)
        if known is None or known.size != row.parameters:
            return None
        from keras_lcb.landscape.vectors import norm

        random = np.random.default_rng([self.seed, len(self._records), known.size])
        noise = random.standard_normal(known.size)
        return known / norm(known) + _RANDOM_PART / norm(noise) * noise

    def _vector(self, block: BlockCurvature) -> np.ndarray:
        """What the next record's search begins with: eigenvectors, a step of the power method on.

        So what is steeper than they are grows from record to record, even where one product is
        all that a record takes (as in Miyato and others 2018, "Spectral Normalization").
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

    def _nothing(self) -> Record:
        """A record without values."""
        layers = len(self._rows)
        nothing: Record = {name: np.full((layers, self.top_k), math.nan) for name in _RANKED}
        if self.trace_samples:
            nothing |= {name: np.full(layers, math.nan) for name in _SINGLE}
        return nothing

    # The run.

    def coordinates(self) -> dict[str, Any]:
        """Returns the values along further dimensions."""
        return {"rank": np.arange(1, self.top_k + 1)}

    def attributes(self) -> dict[str, Any]:
        """Returns what is known of the run as a whole."""
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


def _at(order: list[int], values: np.ndarray) -> np.ndarray:
    """The values in another order; NaN for those at -1."""
    nothing = np.full((1, *values.shape[1:]), math.nan)
    return np.concatenate([values, nothing])[order]
