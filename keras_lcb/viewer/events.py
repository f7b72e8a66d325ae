"""What happened in a run, and when: other learning rates, layers that stop, the first NaN."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import xarray as xr

# A learning rate that changes at more than this share of the records follows a schedule.
_SCHEDULED = 0.25
_SAME = 1e-6  # relative difference of two learning rates that float32 may make


@dataclass(frozen=True)
class Event:
    """Something that happened.

    Attributes:
        update: The update after which it was seen. It happened since the record before.
        kind: `"learning rate"`, `"frozen"`, `"still"` or `"not finite"`.
        text: What happened, in a few words.
        layers: The layers that it happened to; empty for all.
    """

    update: int
    kind: str
    text: str
    layers: tuple[str, ...] = ()


def events(run: xr.Dataset) -> list[Event]:
    """Returns what happened in a run, first things first.

    - The learning rate changed; where it changes all the time, its schedule is one event.
    - A layer was frozen, or trains again, as `FreezeConverged` records it.
    - A layer stopped moving for the rest of the run, and nothing says that it was frozen.
    - The first update that was NaN or infinite.

    Args:
        run: A run, or runs stacked along `seed`, of which the first is looked at, but for the
            first non-finite update of any.

    Example:
        >>> import xarray as xr
        >>> rates = xr.Dataset(
        ...     {"learning_rate": ("step", [0.1, 0.1, 0.1, 0.1, 0.01])},
        ...     {"step": [0, 10, 20, 30, 40]},
        ... )
        >>> events(rates)
        [Event(update=40, kind='learning rate', text='learning rate 0.1 → 0.01', layers=())]
    """
    one = run.isel(seed=0) if "seed" in run.dims else run
    found = [*_learning_rates(one), *_frozen(one), *_stopped(one), *_not_finite(run)]
    return sorted(found, key=lambda event: event.update)


def as_json(happened: list[Event]) -> list[dict[str, Any]]:
    """Returns events as what JSON can hold."""
    return [{**asdict(event), "layers": list(event.layers)} for event in happened]


def _learning_rates(run: xr.Dataset) -> list[Event]:
    if "learning_rate" not in run or "step" not in run["learning_rate"].dims:
        return []
    values = run["learning_rate"]
    if "layer" not in values.dims:
        return _changes(values.values, run["step"].values, "", ())
    per_layer = values.transpose("layer", "step").values
    names = [str(name) for name in run["layer"].values]
    if all(np.array_equal(row, per_layer[0], equal_nan=True) for row in per_layer):
        return _changes(per_layer[0], run["step"].values, "", ())
    return [
        event
        for name, row in zip(names, per_layer, strict=True)
        for event in _changes(row, run["step"].values, f" of {name}", (name,))
    ]


def learning_rate_event(update: int, before: float, after: float) -> Event:
    """Returns the event of another learning rate."""
    return Event(update, "learning rate", f"learning rate {before:.3g} → {after:.3g}")


def frozen_event(update: int, names: Sequence[str]) -> Event:
    """Returns the event of layers that are frozen from an update on."""
    return _together(update, "frozen", list(names), ("is frozen", "are frozen"))


def _changes(
    rates: np.ndarray, steps: np.ndarray, whose: str, layers: tuple[str, ...]
) -> list[Event]:
    known = np.isfinite(rates)
    rates, steps = rates[known], steps[known]
    changed = 1 + np.flatnonzero(abs(np.diff(rates)) > _SAME * abs(rates[:-1]))
    if not changed.size:
        return []
    what = f"learning rate{whose}"
    if changed.size > max(1, _SCHEDULED * len(rates)):
        text = f"{what} follows a schedule, {rates[0]:.3g} → {rates[-1]:.3g}"
        return [Event(int(steps[changed[0]]), "learning rate", text, layers)]
    return [
        Event(
            int(steps[at]), "learning rate", f"{what} {rates[at - 1]:.3g} → {rates[at]:.3g}", layers
        )
        for at in changed
    ]


def _frozen(run: xr.Dataset) -> list[Event]:
    """Returns which layers were frozen or thawed, those of one update together."""
    if "frozen" not in run or "step" not in run["frozen"].dims:
        return []
    flags = run["frozen"].transpose("step", "layer").dropna("step", how="all")
    turned = np.diff(flags.values, axis=0, prepend=0)
    return [
        _together(int(update), "frozen", names, verbs)
        for update, row in zip(flags["step"].values, turned, strict=True)
        for sign, verbs in ((1, ("is frozen", "are frozen")), (-1, ("trains again", "train again")))
        if (names := [str(name) for name in flags["layer"].values[row == sign]])
    ]


def _stopped(run: xr.Dataset) -> list[Event]:
    """Returns the layers that moved and then did not any more, those of one update together."""
    if "update_norm" not in run or "step" not in run["update_norm"].dims:
        return []
    if "frozen" in run:
        run = run.isel(layer=~(run["frozen"] == 1).any("step"))
    norms = run["update_norm"].transpose("layer", "step").values
    stopped: dict[int, list[str]] = {}
    for name, row in zip(run["layer"].values, norms, strict=True):
        at = _stop(row)
        if at is not None:
            stopped.setdefault(int(run["step"].values[at]), []).append(str(name))
    verbs = ("no longer moves", "no longer move")
    return [_together(update, "still", names, verbs) for update, names in stopped.items()]


def _together(update: int, kind: str, names: list[str], verbs: tuple[str, str]) -> Event:
    """Returns the event of one or several layers; `verbs` are for one and for several."""
    others = f" and {len(names) - 1} more" if len(names) > 1 else ""
    return Event(update, kind, f"{names[0]}{others} {verbs[len(names) > 1]}", tuple(names))


def _stop(norms: np.ndarray) -> int | None:
    """Returns the first of the zeros that a layer's norms end with; `None` if there is none."""
    recorded = np.flatnonzero(~np.isnan(norms))
    moving = np.flatnonzero(norms[recorded] != 0)
    if not moving.size or moving[-1] == len(recorded) - 1:
        return None
    return int(recorded[moving[-1] + 1])


def _not_finite(run: xr.Dataset) -> list[Event]:
    first = int(run.attrs.get("first_nonfinite_update", -1))
    if first < 0:
        return []
    return [Event(first, "not finite", "NaN or infinity from here on")]
