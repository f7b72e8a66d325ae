"""What a folder holds of a study."""

from __future__ import annotations

import functools
import json
import math
import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from keras_lcb.analysis.compared import FIRST_NONFINITE
from keras_lcb.experiments.grid import Study
from keras_lcb.experiments.keys import made_with
from keras_lcb.experiments.member import Member, failure_path, result_path
from keras_lcb.runs import schema
from keras_lcb.runs.storage import load_run

if TYPE_CHECKING:
    import xarray as xr

Choice = tuple[tuple[str, Any], ...]


@dataclass(frozen=True)
class Results:
    """What is known of a study.

    Attributes:
        runs: For each cell of the grid, as its (name, value) pairs, its runs stacked along `seed`;
            without the seeds that failed or are missing.
        failures: The members that failed, each with its error.
        missing: The members that were not run yet.
        made: The members that have a run, each with the processor time in seconds that it took, or
            NaN if that is not known.
    """

    runs: dict[Choice, xr.Dataset]
    failures: list[tuple[Member, str]]
    missing: list[Member]
    made: list[tuple[Member, float]]


def load(study: Study, folder: str | os.PathLike[str]) -> Results:
    """Loads what a folder holds of a study.

    Args:
        study: The study.
        folder: Where `run` wrote its results.

    Raises:
        ValueError: If a result is damaged, or was made with other settings.

    Example:
        >>> from keras_lcb.synthetic import Config
        >>> study = Study("keras_lcb.synthetic:run", Config(), {"depth": (3, 5)}, range(2))
        >>> found = load(study, "a folder without runs")
        >>> len(found.runs), len(found.missing)
        (0, 4)
    """
    return load_members(study.members(), folder)


def load_members(members: Sequence[Member], folder: str | os.PathLike[str]) -> Results:
    """Loads what a folder holds of some members; see `load`."""
    runs: dict[Choice, list[xr.Dataset]] = {}
    failures, missing, made = [], [], []
    for member in members:
        if result_path(folder, member.key).exists():
            one = _checked(member, folder)
            made.append((member, _seconds(one)))
            runs.setdefault(member.choice, []).append(one.expand_dims(seed=[member.seed]))
        elif failure_path(folder, member.key).exists():
            told = json.loads(failure_path(folder, member.key).read_text())
            failures.append((member, told["error"]))
        else:
            missing.append(member)
    together = {choice: stacked(own) for choice, own in runs.items()}
    return Results(together, failures, missing, made)


def check_backend(members: Sequence[Member], folder: str | os.PathLike[str], backend: str) -> None:
    """Checks that what a folder holds of some members was made on a backend of Keras.

    Raises:
        ValueError: If a run was made on another one.
    """
    for member in members:
        path = result_path(folder, member.key)
        made_on = _loaded(str(path), path.stat().st_mtime_ns).attrs.get("backend")
        if made_on and made_on != backend:
            raise ValueError(
                f"{path} was made on {made_on}, and Keras is on {backend} now: runs that are "
                f"compared have to differ in nothing else. Take another folder, or {made_on}."
            )


def _seconds(run: xr.Dataset) -> float:
    if "seconds" in run.attrs:
        return float(run.attrs["seconds"])
    return float(run["wall_time"].max()) if "wall_time" in run.coords else math.nan


def _checked(member: Member, folder: str | os.PathLike[str]) -> xr.Dataset:
    path = result_path(folder, member.key)
    run = _loaded(str(path), path.stat().st_mtime_ns)
    if made_with(schema.settings(run), member.config) is False:
        raise ValueError(
            f"{path} was made with other settings than those it is named after: a default has "
            "changed since. Take another folder, or move the file away to run it again."
        )
    return run


@functools.lru_cache(maxsize=1024)
def _loaded(path: str, written: int) -> xr.Dataset:
    """A run, read once however many claims share it; again if it was written anew."""
    return load_run(path)


def stacked(runs: Sequence[xr.Dataset]) -> xr.Dataset:
    """Returns runs, each with a `seed`, as one."""
    import xarray as xr

    # How long each run took differs, and has no place beside the common steps.
    apart = [_with_first_nonfinite(run.drop_vars("wall_time", errors="ignore")) for run in runs]
    joined = xr.concat(
        apart,
        "seed",
        data_vars="all",
        coords="minimal",
        compat="override",
        join="outer",
        combine_attrs="drop",
    )
    return joined.assign_attrs(_common(runs))


def _with_first_nonfinite(run: xr.Dataset) -> xr.Dataset:
    """Tells of each seed by itself whether and when it diverged."""
    first = [int(run.attrs.get(FIRST_NONFINITE, -1))]
    return run.assign_coords({FIRST_NONFINITE: ("seed", first)})


def _common(runs: Sequence[xr.Dataset]) -> dict[str, Any]:
    """What holds for all runs; but the non-finite updates, and what is missing, of any."""
    attrs = [dict(run.attrs) for run in runs]
    settings = _agreed([json.loads(own.pop("settings", "{}")) for own in attrs])
    missing: dict[str, str] = {}
    for own in attrs:
        missing |= json.loads(own.pop("missing", "{}"))
        own.pop("seconds", None)
    nonfinite = [own.pop(FIRST_NONFINITE, -1) for own in attrs]
    first = min((update for update in nonfinite if update >= 0), default=-1)
    found = {**_agreed(attrs), FIRST_NONFINITE: first}
    return found | {"settings": json.dumps(settings), "missing": json.dumps(missing)}


def _agreed(all_settings: list[dict[str, Any]]) -> dict[str, Any]:
    """What all have in common, in nested settings too."""
    first, *others = all_settings
    common: dict[str, Any] = {}
    for name, value in first.items():
        if all(name in other for other in others):
            values = [value, *(other[name] for other in others)]
            if all(isinstance(each, dict) for each in values):
                common[name] = _agreed(values)
            elif all(each == value for each in values):
                common[name] = value
    return common
