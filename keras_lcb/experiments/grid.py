"""What a study consists of: a grid of settings, each with the same seeds."""

from __future__ import annotations

import dataclasses
import functools
import importlib
import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from keras_lcb.experiments.keys import key
from keras_lcb.experiments.member import Member, check_different, choice_of

if TYPE_CHECKING:
    import xarray as xr


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
        ValueError: If the engine is named in another way or does not exist, a field does not
            exist, or a value is none for it.

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
            raise ValueError(f'`engine` is "package.module:function"; received {self.engine!r}.')
        if not len(self.seeds) or any(not len(values) for values in self.grid.values()):
            raise ValueError("A study needs a seed, and a value for each setting of its grid.")
        known = {field.name for field in dataclasses.fields(self.base)}
        for name in ["seed", *(part for names in self.grid for part in names.split(","))]:
            if name not in known:
                raise ValueError(
                    f"{type(self.base).__name__} has no setting '{name}'; it has "
                    f"{', '.join(sorted(known))}."
                )
        imported(self.engine)
        check_different(self.members())

    def members(self) -> list[Member]:
        """Returns all members, seeds running fastest."""
        found = []
        for values in itertools.product(*self.grid.values()):
            choice = choice_of(self.grid, values)
            settings = _settings(tuple(zip(self.grid, values, strict=True)))
            for seed in self.seeds:
                config = dataclasses.replace(self.base, **settings, seed=seed)
                found.append(member_of(self.engine, config, choice))
        return found


def member_of(engine: str, config: Any, choice: tuple[tuple[str, Any], ...] = ()) -> Member:
    """Returns the member that an engine runs with given settings.

    Args:
        engine: As in `Study`.
        config: All settings, the seed among them.
        choice: What tells the member apart from others.
    """
    make = functools.partial(_run_engine, engine, config)
    return Member(choice, config.seed, config, key(engine, config), make)


def _run_engine(engine: str, config: Any) -> xr.Dataset:
    return imported(engine)(config)


def imported(engine: str) -> Callable[[Any], xr.Dataset]:
    """Returns the function that an engine's name stands for.

    Raises:
        ValueError: If there is none.
    """
    module, name = engine.split(":")
    try:
        return getattr(importlib.import_module(module), name)
    except (ModuleNotFoundError, AttributeError) as error:
        raise ValueError(f"There is no engine '{engine}': {error}.") from error


def _settings(choice: tuple[tuple[str, Any], ...]) -> dict[str, Any]:
    settings: dict[str, Any] = {}
    for names, value in choice:
        fields = names.split(",")
        values = value if len(fields) > 1 else (value,)
        settings |= dict(zip(fields, values, strict=True))
    return settings
