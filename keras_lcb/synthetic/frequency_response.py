"""The `FrequencyResponse` callback: which layer carries which frequency."""

from __future__ import annotations

import math
from typing import Any

import keras
import numpy as np
from numpy.typing import ArrayLike

from keras_lcb.callbacks.recorder import Record, Recorder

# A probe takes as long as dozens of updates. So the next probe follows only when the number of
# updates has grown by this factor: the network changes more slowly the longer it trains.
_GROWTH = 1.25
_UNEQUAL = 1e-3  # relative; points in single precision are not quite equally spaced


class FrequencyResponse(Recorder):
    """Records which frequencies of a function of one variable each layer carries.

    The output of a residual network is the sum of the contributions of its layers
    (`synthetic.decompose`). The callback compares each contribution with the target, frequency by
    frequency. The output of a plain network is not such a sum. There the callback records how well
    a linear read-out of each layer's features reproduces each frequency (`synthetic.probe`). Both
    are measured in evaluation mode, at the given points.

    The cost of a record is one forward pass over the points. A probe of a plain network takes about
    as long as dozens of updates, and so is not part of every record.

    Args:
        x: Points of shape (n, 1), equally spaced over one period, without its end point; for
            example `target.grid(512)`. Wave number 1 has this period. A plain network needs 25
            points or more.
        every: When to record: "epoch" for the end of each epoch, or a number of updates n. A record
            is then taken when Keras calls back for the first time at or after each multiple of n.
            Defaults to "epoch".
        frequencies: Whole wave numbers, 1 or more and less than n/2. Defaults to those of the
            target.
        target: The function that the network learns: a target of `keras_lcb.synthetic` (its noise
            is left out), another function of an (n, 1) array, or values of shape (n, 1). Without a
            target, shares and errors are not recorded. Defaults to `None`.
        functions: Whether to record the functions themselves, too. Defaults to `False`.

    Attributes:
        results: The run, an `xarray.Dataset`. At each frequency, let c be the Fourier coefficient
            of a layer's contribution, F that of the target and P that of the prediction.

            For all networks, `frequency_error` = |P − F| / |F| (step, frequency).

            For residual networks, `frequency_share` = Re(c·conj F) / |F|² (step, layer, frequency),
            whose sum over layers is 1 if P = F; and `frequency_centroid` (step, layer), the mean
            wave number of a layer's contribution, weighted by energy.

            For plain networks, `r2` (step, layer, frequency). It is measured at the first and the
            last record, and whenever the number of updates has grown by a quarter since the last
            probe. It is NaN at all other records.

            With `functions`, also `target` (x), `prediction` (step, x) and, for residual networks,
            `contribution` (step, layer, x). The sum of the contributions over layers is the
            prediction; the contribution of the read-out is its bias.

    Raises:
        ValueError: If the points are not such a grid, or do not resolve a frequency, or the target
            does not have a frequency. When training begins, if the model is not a functional
            chain of Dense layers with one input variable and one output variable, or a plain
            network has too few points for a probe.

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

    def _build_ahead(self) -> bool:
        if isinstance(self._model, keras.Sequential):
            self._model.build((None, 1))
        return True  # `attached` refuses a model that is not functional

    def attached(self) -> None:
        """Checks that the model can be measured."""
        from keras_lcb.synthetic.features import check_chain, dense_calls
        from keras_lcb.synthetic.probes import check_points

        dense_calls(self._model)
        shape = tuple(self._model.outputs[0].shape[1:])
        if shape != (1,):
            raise ValueError(
                "The model must return one number for each point, in the shape (n, 1); received "
                f"'{self._model.name}', with outputs of shape {self._model.outputs[0].shape}."
            )
        self._why_no_parts = self._without_parts()
        if self._why_no_parts is not None:
            check_chain(self._model)
            check_points(len(self.x))

    def _without_parts(self) -> str | None:
        """Returns why the output is not the sum of parts of the run's layers; `None` if it is."""
        from keras_lcb.synthetic.decomposition import READOUT_BIAS, decompose

        try:
            parts = decompose(self._model, self.x)["layer"].values.tolist()
        except ValueError as refusal:
            return str(refusal)
        others = set(parts) - {READOUT_BIAS, *(row.layers[0].name for row in self._rows)}
        if not others:
            return None
        return (
            f"The sum that enters the read-out has parts that belong to none of the run's layers: "
            f"{', '.join(sorted(others))}. Without them, shares would not sum to 1."
        )

    # Recording.

    def measure(self) -> Record:
        """Measures the layers at the current weights."""
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
        """Returns values of the measured layers in the order of the run; NaN for other layers."""
        place = {name: index for index, name in enumerate(self._measured)}
        missing = np.full(values.shape[1:], math.nan)
        names = [row.layers[0].name for row in self._rows]
        return np.stack([values[place[name]] if name in place else missing for name in names])

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
                missing = np.full(known[0].shape, math.nan)
                column = [record.get(name, missing) for record in self._records]
                variables[name] = (over, np.stack(column))
        return variables

    def coordinates(self) -> dict[str, Any]:
        """Returns the coordinates of the dimensions other than `step` and `layer`."""
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
            self._missing["r2"] = "Not every record has a probe, because probes take long."
        else:
            quantities = ["frequency_share", "frequency_centroid"]
            if self._target is None:
                self._missing["frequency_share"] = "No target was given."
        for row in self._rows:
            if row.layers[0].name not in self._measured:
                why = (
                    "The read-out only combines the outputs of the other layers; its own bias is "
                    "constant."
                    if row.role == "head"
                    else "The effect of this layer is counted with the Dense layer that it belongs "
                    "to."
                )
                self._missing |= {f"{name}/{row.name}": why for name in quantities}


def _grid(x: ArrayLike) -> np.ndarray:
    points = np.asarray(x, dtype=np.float64)
    if points.ndim != 2 or points.shape[1] != 1 or len(points) < 4:
        raise ValueError(
            "`x` must have the shape (n, 1) with 4 points or more; received the shape "
            f"{points.shape}."
        )
    spacing = np.diff(points[:, 0])
    if not np.isfinite(points).all() or spacing[0] <= 0 or not _equal(spacing):
        raise ValueError(
            "`x` must be ascending and equally spaced, so that a spectrum can be computed; "
            "received other points. Use `target.grid(n)`."
        )
    return points


def _equal(spacing: np.ndarray) -> bool:
    return np.allclose(spacing, spacing[0], rtol=_UNEQUAL, atol=0.0)


def _spacing(x: np.ndarray) -> float:
    return float(x[-1, 0] - x[0, 0]) / (len(x) - 1)


def _values(target: Any, x: np.ndarray) -> np.ndarray:
    values = getattr(target, "clean", target)
    values = np.asarray(values(x) if callable(values) else values, dtype=np.float64)
    finite = bool(np.isfinite(values).all())
    if values.shape != x.shape or not finite:
        raise ValueError(
            f"`target` must give one finite number for each point, in the shape {x.shape} of `x`; "
            f"received {'the shape' if finite else 'NaN or infinity in the shape'} "
            f"{values.shape}."
        )
    return values


def _frequencies(frequencies: ArrayLike | None, target: Any, points: int) -> np.ndarray:
    if frequencies is None:
        frequencies = getattr(target, "frequencies", None)
    if frequencies is None:
        raise ValueError(
            "`frequencies` must be given if the target does not have frequencies of its own; "
            "received None. Pass wave numbers, for example [1, 3, 10]."
        )
    k = np.asarray(frequencies)
    if k.ndim != 1 or not k.size or np.any(k != np.round(k)) or np.any(k < 1):
        raise ValueError(
            f"`frequencies` must be whole wave numbers, 1 or more; received {frequencies}."
        )
    if k.max() >= points / 2:
        raise ValueError(
            f"{points} points resolve only wave numbers below {points / 2:g}, their Nyquist limit; "
            f"received {k.max():g}. Use more points or lower `frequencies`."
        )
    if len(set(k.tolist())) != len(k):
        raise ValueError(f"`frequencies` must not contain duplicates; received {frequencies}.")
    return k.astype(np.int64)


def _coefficients(values: np.ndarray, frequencies: np.ndarray) -> np.ndarray:
    from keras_lcb.synthetic.spectra import spectrum

    coefficients = spectrum(values, frequencies)
    lacking = frequencies[abs(coefficients) <= 1e-9 * abs(values).max()]
    if lacking.size:
        raise ValueError(
            f"Received the wave numbers {lacking.tolist()}, at which the target has no component, "
            "so a share or an error relative to the target is not defined. Leave them out of "
            "`frequencies`."
        )
    return coefficients
