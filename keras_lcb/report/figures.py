"""The figures of a report, each with a sentence that says how to read it."""

from __future__ import annotations

import warnings
from html import escape
from typing import TYPE_CHECKING

from keras_lcb.plotting.figures import Figure, declared_figures, figures_of
from keras_lcb.plotting.quantity import is_quantity, quantity_figure
from keras_lcb.report.svg import draw
from keras_lcb.runs import schema

if TYPE_CHECKING:
    import xarray as xr


def figures(run: xr.Dataset) -> str:
    """Returns all figures for which the run has the data, as HTML.

    The declared figures come first, then the user's own quantities. All other quantities of layers
    along training are in a section that is folded at first.
    """
    declared = figures_of(run)
    shown = {name for each in declared for name in each.shows}
    others = [
        quantity_figure(run, str(name))
        for name, values in run.data_vars.items()
        if name not in shown and is_quantity(values) and "step" in values.dims
    ]
    half = [each for each in declared_figures() if _has_some(run, each)]
    first = declared + half + [each for each in others if not schema.is_taken(each.name)]
    first = first or others
    folded = [each for each in others if each not in first]
    page = f'<div class="figures">{"".join(_figure(each, run) for each in first)}</div>'
    if not folded:
        return page
    names = ", ".join(each.name.replace("_", " ") for each in folded)
    return (
        f"{page}<details><summary>Further quantities: {escape(names)}</summary>"
        f'<div class="figures">{"".join(_figure(each, run) for each in folded)}</div></details>'
    )


def _has_some(run: xr.Dataset, figure: Figure) -> bool:
    """Returns whether a run holds some, but not all, of what a figure needs."""
    held = [name for name in figure.needs if name in run.data_vars]
    return bool(held and figure.lacks(run))


def _figure(figure: Figure, run: xr.Dataset) -> str:
    """Returns a figure as HTML. If it cannot be drawn, returns a sentence that says why."""
    try:
        svg = draw(figure.plot, run, figure.name, figure.showing)
        reading = escape(figure.reading(run))
    except ValueError as reason:  # its message says what the run lacks
        return _instead(str(reason) if figure.lacks(run) else f"{figure.name}: {reason}")
    except Exception as error:  # a figure may be anyone's; the rest still has to be told
        told = f"{type(error).__name__}: {error}"
        told = f"The figure {figure.name} is not drawn, because it ended with an error. {told}"
        warnings.warn(told, stacklevel=2)
        return _instead(told)
    return f"<figure>{svg}<figcaption>{reading}</figcaption></figure>"


def _instead(sentence: str) -> str:
    return f"<figure><figcaption>{escape(sentence)}</figcaption></figure>"
