"""What a study consists of, and what has been found so far."""

from __future__ import annotations

import dataclasses
import importlib
import itertools
import json
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from keras_lcb.experiments.keys import key, made_with
from keras_lcb.runs import schema
from keras_lcb.runs.storage import load_run

if TYPE_CHECKING:
    import xarray as xr


@dataclass(frozen=True)
class Member:
    """One run of a study.

    Attributes:
        choice: Its place in the grid, as (name, value) pairs.
        seed: Its seed.
        config: All its settings, for the engine.
        key: Name of its result; see `keys.key`.
    """

    choice: tuple[tuple[str, Any], ...]
    seed: int
    config: Any
    key: str


@dataclass(frozen=True)
class Study:
    """A grid of settings, each with the same seeds, and the engine that runs them.

    Args:
        engine: Where the function from settings to a run is, as `"package.module:function"`: the
            processes that call it import it by themselves.
        base: The settings that all members share, a dataclass with a field `seed` and a method
            `to_json` that gives each field's value by its name.
        grid: Field to the values that it takes; a name that joins fields by commas, such as
            `"optimizer,learning_rate"`, takes tuples of values that belong together.
        seeds: The seeds of each cell of the grid.

    Raises:
        ValueError: If the engine is named in another way, a field does not exist, or a value is
            none for it.

    Example:
        >>> from keras_lcb.synthetic import Config
        >>> study = Study("keras_lcb.synthetic:run", Config(), {"depth": (3, 5)}, range(2))
        >>> [(member.choice, member.seed) for member in study.members()]
        [((('depth', 3),), 0), ((('depth', 3),), 1), ((('depth', 5),), 0), ((('depth', 5),), 1)]
    """

    engine: str
    base: Any
    grid: Mapping[str, Sequence[Any]]
    seeds: Sequence[int]

    def __post_init__(self) -> None:
        if self.engine.count(":") != 1:
            raise ValueError(f'`engine` is "package.module:function", got {self.engine!r}.')
        if not len(self.seeds) or any(not len(values) for values in self.grid.values()):
            raise ValueError("A study needs a seed, and a value for each setting of its grid.")
        known = {field.name for field in dataclasses.fields(self.base)}
        for name in ["seed", *(part for names in self.grid for part in names.split(","))]:
            if name not in known:
                raise ValueError(
                    f"{type(self.base).__name__} has no setting '{name}'; it has "
                    f"{', '.join(sorted(known))}."
                )
        keys = [member.key for member in self.members()]
        if len(set(keys)) < len(keys):
            raise ValueError("Two members of the study have the same settings: a value is twice.")

    def members(self) -> list[Member]:
        """Return all members, seeds running fastest."""
        found = []
        for values in itertools.product(*self.grid.values()):
            choice = tuple(zip(self.grid, values, strict=True))
            for seed in self.seeds:
                settings = _settings(choice) | {"seed": seed}
                config = dataclasses.replace(self.base, **settings)
                found.append(Member(choice, seed, config, key(self.engine, config)))
        return found


@dataclass(frozen=True)
class Results:
    """What is known of a study.

    Attributes:
        runs: For each cell of the grid, as its (name, value) pairs, its runs stacked along `seed`;
            without the seeds that failed or are missing.
        failures: The members that failed, each with its error.
        missing: The members that were not run yet.
    """

    runs: dict[tuple[tuple[str, Any], ...], xr.Dataset]
    failures: list[tuple[Member, str]]
    missing: list[Member]


def load(study: Study, folder: str | os.PathLike[str]) -> Results:
    """Load what a folder holds of a study.

    Args:
        study: The study.
        folder: Where `run` wrote its results.

    Raises:
        ValueError: If a result is damaged, or was made with other settings.
    """
    runs: dict[tuple[tuple[str, Any], ...], list[xr.Dataset]] = {}
    failures, missing = [], []
    paths = saved_paths(study, folder)
    for member in study.members():
        if member.key in paths:
            one = _checked(study, member, paths[member.key])
            runs.setdefault(member.choice, []).append(one.expand_dims(seed=[member.seed]))
        elif failure_path(folder, member).exists():
            told = json.loads(failure_path(folder, member).read_text())
            failures.append((member, told["error"]))
        else:
            missing.append(member)
    stacked = {choice: _stacked(own) for choice, own in runs.items()}
    return Results(stacked, failures, missing)


def saved_paths(study: Study, folder: str | os.PathLike[str]) -> dict[str, Path]:
    """Return where the folder holds the run of each member that was run, by the member's key.

    Earlier versions named files by all settings instead of by the changed ones. Such files are
    known by the settings that are in them.
    """
    members = {member.key: member for member in study.members()}
    paths = {name: Path(folder) / f"{name}.nc" for name in members}
    found = {name: path for name, path in paths.items() if path.exists()}
    absent = [member for name, member in members.items() if name not in found]
    others = [path for path in sorted(Path(folder).glob("*.nc")) if path.stem not in members]
    for path in others if absent else ():
        settings = _settings_in(path)
        for member in absent:
            if made_with(settings, study.engine, member.config):
                found.setdefault(member.key, path)
    return found


def _settings_in(path: Path) -> dict[str, Any]:
    try:
        return schema.settings(load_run(path))
    except ValueError:  # a file of something else, or a damaged one, which is no member's then
        return {}


def _checked(study: Study, member: Member, path: Path) -> xr.Dataset:
    run = load_run(path)
    if made_with(schema.settings(run), study.engine, member.config) is False:
        raise ValueError(
            f"{path} was made with other settings than those it is named after: a default has "
            "changed since. Take another folder, or move the file away to run it again."
        )
    return run


def imported(engine: str) -> Callable[[Any], xr.Dataset]:
    """Return the function that an engine's name stands for.

    Raises:
        ValueError: If there is none.
    """
    module, name = engine.split(":")
    try:
        return getattr(importlib.import_module(module), name)
    except (ModuleNotFoundError, AttributeError) as error:
        raise ValueError(f"There is no engine '{engine}': {error}.") from error


def result_path(folder: str | os.PathLike[str], member: Member) -> Path:
    """Where a member's run is."""
    return Path(folder) / f"{member.key}.nc"


def failure_path(folder: str | os.PathLike[str], member: Member) -> Path:
    """Where a member's error is."""
    return Path(folder) / f"{member.key}.error.json"


def _stacked(runs: list[xr.Dataset]) -> xr.Dataset:
    import xarray as xr

    # How long each run took differs, and has no place beside the common steps.
    apart = [run.drop_vars("wall_time", errors="ignore") for run in runs]
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


def _common(runs: list[xr.Dataset]) -> dict[str, Any]:
    """What holds for all runs; but the non-finite updates, and what is missing, of any."""
    attrs = [dict(run.attrs) for run in runs]
    settings = _agreed([json.loads(own.pop("settings", "{}")) for own in attrs])
    missing: dict[str, str] = {}
    for own in attrs:
        missing |= json.loads(own.pop("missing", "{}"))
    nonfinite = [own.pop("first_nonfinite_update", -1) for own in attrs]
    first = min((update for update in nonfinite if update >= 0), default=-1)
    found = {**_agreed(attrs), "first_nonfinite_update": first}
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


def _settings(choice: tuple[tuple[str, Any], ...]) -> dict[str, Any]:
    settings: dict[str, Any] = {}
    for names, value in choice:
        fields = names.split(",")
        values = value if len(fields) > 1 else (value,)
        settings |= dict(zip(fields, values, strict=True))
    return settings
