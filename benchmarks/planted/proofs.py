"""Whether a planted fault is really there, by signs that the rules do not examine.

Most faults are there by construction, such as a frozen layer. Others may fail to occur: a loss may
stay finite at a very large learning rate, and a training that was cut short may have ended earlier.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import numpy as np
import xarray as xr

from benchmarks.planted.setting import Setting

_MORE = 0.1  # fall of the loss in a second training time, over its fall in the first
_TRAINS = 0.1  # loss after a quarter of training, over the first
_STEEPER = 10.0  # first gradient, over that with a usual size of the initial weights


@dataclasses.dataclass(frozen=True)
class Proof:
    """How to see that a planted fault is there.

    Attributes:
        shows: Whether the run, and the run of the other setting, show the fault.
        other: The setting of another training with which the run is compared; by default, none.
    """

    shows: Callable[[xr.Dataset, xr.Dataset], bool]
    other: Callable[[Setting], Setting] = lambda planted: planted


def _loss(run: xr.Dataset) -> np.ndarray:
    """Returns the losses of the records; a run without losses had none that was finite."""
    return run["loss"].values[1:] if "loss" in run else np.full(1, np.nan)


def _still_falls(run: xr.Dataset, longer: xr.Dataset) -> bool:
    """Returns whether the loss falls much further in a training that is twice as long."""
    loss = _loss(run)
    last = loss[-(len(loss) // 4) :].mean()
    # The second training time has the last quarter of its records in the last eighth of all.
    after = _loss(longer)[-(len(loss) // 4) :].mean()
    return bool(last - after >= _MORE * (loss[0] - last))


def _others_train(run: xr.Dataset, _: xr.Dataset) -> bool:
    """Returns whether training goes on after the first quarter, when the layer stopped."""
    loss = _loss(run)
    return bool(loss[len(loss) // 4] > _TRAINS * loss[0])


def _steeper(run: xr.Dataset, usual: xr.Dataset) -> bool:
    first = [
        float(np.sqrt((each["first_gradient"] ** 2).sum("layer", min_count=1)[-1]))
        for each in (run, usual)
    ]
    return not first[0] < _STEEPER * first[1]  # NaN and infinity are steep, too


PROOFS: dict[str, Proof] = {
    "exploding gradient": Proof(_steeper, lambda planted: planted.but(gain=1.0)),
    "settled layer": Proof(_others_train),
    "not finite": Proof(lambda run, _: not np.isfinite(_loss(run)).all()),
    "not ended": Proof(_still_falls, lambda planted: planted.but(records=2 * planted.records)),
}
