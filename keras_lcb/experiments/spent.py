"""What is spent shallow against what is spent deep, as findings."""

from __future__ import annotations

import numpy as np
import xarray as xr

from keras_lcb.analysis import Estimate
from keras_lcb.experiments.finding import Finding, finding
from keras_lcb.experiments.scale import RATIO


def deep_to_shallow(runs: xr.Dataset) -> Finding:
    """Compares test losses: how many times as large a loss what is spent deep leaves.

    Each seed's variants are compared with each other. Beside it stand the comparisons with what is
    spent evenly, and that of errors (1 − accuracy; half an image is added to both, lest one be 0).
    There is no loss to tell: three variants have three.
    """
    shallow, even, deep = (_logs(runs["test_loss"], name) for name in ("shallow", "even", "deep"))
    wrong = 1 - runs["test_accuracy"] + 1 / 720
    errors = _logs(wrong, "deep") - _logs(wrong, "shallow")
    return finding(
        deep - shallow,
        runs["seed"].values.tolist(),
        RATIO,
        beside={
            "deep ÷ even": _estimate(deep - even),
            "even ÷ shallow": _estimate(even - shallow),
            "errors": _estimate(errors),
        },
    )


def _logs(values: xr.DataArray, variant: str) -> np.ndarray:
    return np.log(values.sel(variant=variant).values)


def _estimate(values: np.ndarray) -> Estimate:
    return Estimate(tuple(values.tolist()))
