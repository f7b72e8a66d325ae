"""The `FrequencyResponse` callback: which layer carries which frequency."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from keras_lcb.callbacks.recorder import Record, Recorder

# A probe costs as much as dozens of updates, and training changes less and less.
_GROWTH = 1.25


class FrequencyResponse(Recorder):
    """Records which frequencies of a function of one variable each layer carries.

    A residual network's output is a sum of what its layers add (`synthetic.decompose`): each
    layer's part is compared with the target, frequency by frequency. Of a plain network, which
    has no such parts, it records how well a linear read-out of each layer's features could give
    each frequency (`synthetic.probe`). Both are taken in evaluation mode, on the points that you
    give.

    Args:
        x: Points of shape (n, 1), equally spaced over one period, its end left out, such as
            `target.grid(512)`. Wave number 1 is that period.
        every: When a record is taken: "epoch", or a number of updates n: at the first return to
            the host at or after each multiple of n. Defaults to "epoch".
        frequencies: Whole wave numbers from 1 on, below n/2. Defaults to those of the target.
        target: What the network learns: one of `keras_lcb.synthetic`'s targets (taken without its
            noise), another function of an (n, 1) array, or values of shape (n, 1). Without one
            there are no shares and no errors. Defaults to `None`.
        functions: Whether to keep the functions themselves, too. Defaults to `False`.

    Attributes:
        results: The run, an `xarray.Dataset`. With c the coefficient of a layer's part, F the
            target's and P the prediction's, at each frequency: `frequency_share` = Re(c·conj F) /
            |F|² (step, layer, frequency), which sums to 1 over layers where P = F;
            `frequency_error` = |P − F| / |F| (step, frequency); `frequency_centroid` (step,
            layer), the mean wave number of a layer's part, weighted by energy. Of plain networks,
            `frequency_error` and `r2` (step, layer, frequency); a probe is costly, so `r2` is NaN
            but at the first and the last record and wherever the updates have grown by a quarter
            since the last probe. With `functions`, also `target` (x), `prediction` (step, x) and,
            of residual networks, `contribution` (step, layer, x), which sums to the prediction
            over layers, the read-out's being its bias.

    Raises:
        ValueError: For points that are no such grid, frequencies that they do not resolve or that
            the target does not have; before training, for a model that is no functional chain of
            Dense layers from one variable to one.

    Example:
    >>> from keras_lcb import synthetic
    >>> target = synthetic.default_target()
    >>> x = target.grid(64)
    >>> model = synthetic.build_network(3, 8, residual=True)
    >>> model.compile("sgd", "mse")
    >>> response = FrequencyResponse(x, target=target)
    >>> history = model.fit(x, target(x), epochs=2, verbose=0, callbacks=[response])
    >>> dict(response.results.frequency_share.sizes)
    {'step': 3, 'layer': 4, 'frequency': 4}
    """

    def __init__(
        self,
        x: ArrayLike,
        every: str | int = "epoch",
        frequencies: ArrayLike | None = None,
        target: Any = None,
        *,
        functions: bool = False,
    ) -> None:
        self.data = ("x",) if target is None else ("x", "target")
        self.x = _grid(x)
        self.functions = functions
        self.frequencies = _frequencies(frequencies, target, len(self.x))
        self._y = None if target is None else _values(target, self.x)
        self._target = None if self._y is None else _coefficients(self._y, self.frequencies)
        super().__init__(every, None, None)

    def reset(self) -> None:
        """Forgets everything recorded, so that the next `fit` begins a new run."""
        super().reset()
        self._why_no_parts: str | None = None
        self._features: dict[str, np.ndarray] = {}  # of the newest record
        self._measured: list[str] = []  # names of the layers that have values

    def attached(self) -> None:
        """Refuses models that it cannot measure."""
        from keras_lcb.synthetic.decomposition import decompose
        from keras_lcb.synthetic.features import dense_calls

        dense_calls(self._model)  # a model that is no chain of Dense layers is refused here
        try:
            decompose(self._model, self.x)
        except ValueError as refusal:
            self._why_no_parts = str(refusal)
        else:
            self._why_no_parts = None

    # Recording.

    def measure(self) -> Record:
        """Measures the layers at the weights as they are."""
        if self._why_no_parts is None:
            return self._measure_parts()
        return self._measure_features()

    def _measure_parts(self) -> Record:
        from keras_lcb.synthetic.decomposition import READOUT_BIAS, contributions
        from keras_lcb.synthetic.spectra import frequency_centroid, frequency_share, spectrum

        self._measured, parts = contributions(self._model, self.x)
        centroid = self._by_row(frequency_centroid(parts))
        record: Record = {"frequency_centroid": centroid}
        if self._target is not None:
            coefficients = spectrum(parts, self.frequencies)
            share = frequency_share(coefficients, self._target)
            record["frequency_share"] = self._by_row(share)
            record["frequency_error"] = self._error(coefficients.sum(axis=0))
        if self.functions:
            record["prediction"] = parts.sum(axis=0)
            record["contribution"] = self._by_row(parts)
            head = [row.role for row in self._rows].index("head")
            biased = READOUT_BIAS in self._measured
            record["contribution"][head] = parts[-1] if biased else 0.0
        return record

    def _measure_features(self) -> Record:
        from keras_lcb.synthetic.features import features_and_output
        from keras_lcb.synthetic.spectra import spectrum

        self._features, output = features_and_output(self._model, self.x)
        self._measured = list(self._features)
        record: Record = {}
        if self._target is not None:
            record["frequency_error"] = self._error(spectrum(output, self.frequencies))
        if self.functions:
            record["prediction"] = output[:, 0]
        probed = [kept["step"] for kept in self._records if "r2" in kept]
        if self._updates.now() >= _GROWTH * max(probed, default=0):
            record["r2"] = self._probe()
        return record

    def _probe(self) -> np.ndarray:
        from keras_lcb.synthetic.probes import carried

        features, period = self._features.values(), len(self.x) * _spacing(self.x)
        return self._by_row(carried(features, self.x, self.frequencies, period))

    def _error(self, coefficients: np.ndarray) -> np.ndarray:
        from keras_lcb.synthetic.spectra import frequency_error

        return frequency_error(coefficients, self._target)

    def _by_row(self, values: np.ndarray) -> np.ndarray:
        """Values of the measured layers in the order of the run's layers; NaN for the others."""
        place = {name: index for index, name in enumerate(self._measured)}
        nothing = np.full(values.shape[1:], math.nan)
        names = [row.layers[0].name for row in self._rows]
        return np.stack([values[place[name]] if name in place else nothing for name in names])

    # The run.

    def _columns(self) -> dict[str, tuple[tuple[str, ...], Any]]:
        newest = self._records[-1]
        if self._features and "r2" not in newest:
            newest["r2"] = self._probe()
        dims = {
            "frequency_share": ("step", "layer", "frequency"),
            "frequency_centroid": ("step", "layer"),
            "frequency_error": ("step", "frequency"),
            "r2": ("step", "layer", "frequency"),
            "prediction": ("step", "x"),
            "contribution": ("step", "layer", "x"),
        }
        variables: dict[str, tuple[tuple[str, ...], Any]] = {}
        if self.functions and self._y is not None:
            variables["target"] = (("x",), self._y[:, 0])
        for name, over in dims.items():
            known = [record[name] for record in self._records if name in record]
            if known:
                nothing = np.full(known[0].shape, math.nan)
                column = [record.get(name, nothing) for record in self._records]
                variables[name] = (over, np.stack(column))
        return variables

    def coordinates(self) -> dict[str, Any]:
        """Returns the values along further dimensions."""
        positions = {"x": self.x[:, 0]} if self.functions else {}
        return {"frequency": self.frequencies, **positions}

    def settings(self) -> dict[str, Any]:
        """Returns the settings."""
        return {
            "every": self.every,
            "frequencies": self.frequencies.tolist(),
            "functions": self.functions,
            "points": len(self.x),
            "start": float(self.x[0, 0]),
            "period": len(self.x) * _spacing(self.x),
        }

    def _explain_missing(self) -> None:
        self._missing = {}
        if self._target is None:
            self._missing["frequency_error"] = "No target was given."
        if self._why_no_parts is not None:
            for name in ("frequency_share", "frequency_centroid"):
                self._missing[name] = self._why_no_parts
            quantities = ["r2"]
            self._missing["r2"] = "Between these records no probe was taken, since it is costly."
        else:
            quantities = ["frequency_share", "frequency_centroid"]
            if self._target is None:
                self._missing["frequency_share"] = "No target was given."
        for row in self._rows:
            if row.layers[0].name not in self._measured:
                why = (
                    "The read-out passes on what the layers give it; its bias is constant."
                    if row.role == "head"
                    else "What the layer does is counted with the layer it belongs to."
                )
                self._missing |= {f"{name}/{row.name}": why for name in quantities}


def _grid(x: ArrayLike) -> np.ndarray:
    points = np.asarray(x, dtype=np.float64)
    if points.ndim != 2 or points.shape[1] != 1 or len(points) < 4:
        raise ValueError(f"`x` must have shape (n, 1) with 4 points or more, got {points.shape}.")
    spacing = np.diff(points[:, 0])
    if not np.isfinite(points).all() or spacing[0] <= 0 or not np.allclose(spacing, spacing[0]):
        raise ValueError(
            "`x` must be equally spaced and ascending, since only such points have a spectrum: "
            "take `target.grid(n)`."
        )
    return points


def _spacing(x: np.ndarray) -> float:
    return float(x[-1, 0] - x[0, 0]) / (len(x) - 1)


def _values(target: Any, x: np.ndarray) -> np.ndarray:
    values = getattr(target, "clean", target)
    values = np.asarray(values(x) if callable(values) else values, dtype=np.float64)
    if values.shape != x.shape or not np.isfinite(values).all():
        raise ValueError(
            f"`target` must give one finite number a point, in the shape {x.shape} of `x`, got "
            f"{values.shape}."
        )
    return values


def _frequencies(frequencies: ArrayLike | None, target: Any, points: int) -> np.ndarray:
    if frequencies is None:
        frequencies = getattr(target, "frequencies", None)
    if frequencies is None:
        raise ValueError(
            "`frequencies` are needed where the target does not name its own: pass wave numbers "
            "such as [1, 3, 10]."
        )
    k = np.asarray(frequencies)
    if k.ndim != 1 or not k.size or np.any(k != np.round(k)) or np.any(k < 1):
        raise ValueError(f"`frequencies` are whole wave numbers from 1 on, got {frequencies}.")
    if k.max() >= points / 2:
        raise ValueError(
            f"{points} points resolve wave numbers below {points / 2:g}, their Nyquist limit, got "
            f"{k.max():g}: take more points or lower `frequencies`."
        )
    if len(set(k.tolist())) != len(k):
        raise ValueError(f"`frequencies` must differ from each other, got {frequencies}.")
    return k.astype(np.int64)


def _coefficients(values: np.ndarray, frequencies: np.ndarray) -> np.ndarray:
    from keras_lcb.synthetic.spectra import spectrum

    coefficients = spectrum(values, frequencies)
    lacking = frequencies[abs(coefficients) <= 1e-9 * abs(values).max()]
    if lacking.size:
        raise ValueError(
            f"The target carries nothing at the wave numbers {lacking.tolist()}, so nothing can "
            "be relative to it there: leave them out of `frequencies`."
        )
    return coefficients
