"""Figures declare themselves: what each needs of a run, how to read it, and what it shows.

A figure is a function `plot_...` in a file of this folder, with the decorator `@figure(...)`. The
report and `plot_overview` show all declared figures for which a run has the data. There is no list
of figures.
"""

from __future__ import annotations

import dataclasses
import functools
import importlib
import pkgutil
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

from keras_lcb.runs.received import check_dimensions, check_run

if TYPE_CHECKING:
    import xarray as xr

Sentence = Callable[["xr.Dataset"], str]
Plot = TypeVar("Plot", bound=Callable[..., Any])


@dataclasses.dataclass(frozen=True)
class Figure:
    """The declaration of a figure.

    Attributes:
        name: The figure's name: the name of the function without `plot_`.
        plot: The function. It takes a run and `ax`, and returns the artists.
        needs: Names of variables or dimensions that the run must hold.
        recorded_by: The code that records them.
        place: The position in reports. Figures are sorted by it, the smallest first.
        reading: A function that takes a run and returns how to read its figure.
        showing: A function that takes a run and returns what its figure shows, in words, for
            readers who do not see it.
        shows: The variables that the figure shows. Defaults to those that it needs.
    """

    name: str
    plot: Callable[..., Any]
    needs: tuple[str, ...]
    recorded_by: str
    place: float
    reading: Sentence
    showing: Sentence
    shows: tuple[str, ...]

    def lacks(self, run: xr.Dataset) -> list[str]:
        """Returns the names that the figure needs, but that the run does not hold."""
        held = {*run.data_vars, *run.dims}
        return [name for name in self.needs if name not in held]

    def fits(self, run: xr.Dataset) -> bool:
        """Returns whether the run holds what the figure needs, with values to draw."""
        return not self.lacks(run) and all(
            bool(run[name].notnull().any()) for name in self.needs if name in run.data_vars
        )


def figure(
    *,
    needs: tuple[str, ...],
    recorded_by: str,
    place: float,
    reading: str | Sentence,
    showing: Sentence,
    shows: tuple[str, ...] = (),
) -> Callable[[Plot], Plot]:
    """Declares a function to be a figure.

    The function then raises a `ValueError` for runs that lack what the figure needs.

    Args:
        needs: See `Figure`.
        recorded_by: See `Figure`.
        place: See `Figure`.
        reading: See `Figure`; or a text, if it is the same for all runs.
        showing: See `Figure`.
        shows: See `Figure`.

    Example:
    >>> @figure(
    ...     needs=("distance",),
    ...     recorded_by="keras_lcb.LayerConvergence()",
    ...     place=1,
    ...     reading="A line is a layer.",
    ...     showing=lambda run: f"Line chart: {run.sizes['layer']} layers.",
    ... )
    ... def plot_lines(run, ax=None):
    ...     return ax.plot(run["step"], run["distance"])
    >>> plot_lines.figure.name
    'lines'
    """

    def declare(plot: Plot) -> Plot:
        @functools.wraps(plot)
        def checked(run: xr.Dataset, *args: Any, **kwargs: Any) -> Any:
            check_run(run)
            lacking = declared.lacks(run)
            if lacking:
                check_dimensions(run, *lacking)
                raise ValueError(
                    f"The run holds no {', '.join(lacking)}. Record it with {recorded_by}."
                )
            return plot(in_training_order(run), *args, **kwargs)

        declared = Figure(
            name=plot.__name__.removeprefix("plot_"),
            plot=checked,
            needs=needs,
            recorded_by=recorded_by,
            place=place,
            reading=reading if callable(reading) else lambda run: reading,
            showing=lambda run: showing(in_training_order(run)),
            shows=shows or needs,
        )
        checked.figure = declared  # type: ignore[attr-defined]
        return checked  # type: ignore[return-value]

    return declare


def in_training_order(run: xr.Dataset) -> xr.Dataset:
    """Returns a run whose records and updates ascend. Otherwise, lines would go back and forth."""
    along = [dim for dim in ("step", "update") if dim in run.indexes]
    mixed = [dim for dim in along if not run.indexes[dim].is_monotonic_increasing]
    return run.sortby(mixed) if mixed else run


@functools.cache
def functions() -> dict[str, Callable[..., Any]]:
    """Returns all functions `plot_...` and `animate_...` of this folder, by name."""
    package = importlib.import_module(__package__)
    modules = [
        importlib.import_module(f"{__package__}.{found.name}")
        for found in pkgutil.iter_modules(package.__path__)
    ]
    return {
        name: member
        for module in modules
        for name, member in vars(module).items()
        if name.startswith(("plot_", "animate_")) and member.__module__ == module.__name__
    }


def declared_figures() -> list[Figure]:
    """Returns all declared figures, in their order."""
    declared = [each.figure for each in functions().values() if hasattr(each, "figure")]
    return sorted(declared, key=lambda each: each.place)


def figures_of(run: xr.Dataset) -> list[Figure]:
    """Returns the declared figures that a run has the data for, in their order.

    Example:
    >>> from keras_lcb.runs import example_run
    >>> [figure.name for figure in figures_of(example_run(gradients=False))]
    ['convergence', 'loss']
    """
    check_run(run)
    return [each for each in declared_figures() if each.fits(run)]
