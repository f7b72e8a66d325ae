"""The per-layer table, and other facts of a run, as HTML."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from numbers import Integral, Real
from typing import TYPE_CHECKING, Any

import numpy as np

from keras_lcb.report.svg import theme_color

if TYPE_CHECKING:
    import pandas as pd


_MEANINGS = {
    "depth": "Place in the order in which the layers are called, from 0.",
    "role": "Hidden, head (computes an output), normalization or embedding. Verdicts are about "
    "hidden layers.",
    "parameters": "Number of trainable parameters.",
    "time_to_half": "Updates until half the distance to the end is left.",
    "area": "Mean of the normalized distance over the run. The smaller it is, the sooner the layer "
    "came near its end.",
    "no_distance": "Why a layer has no distance: it never moved, or training diverged, so that "
    "its endpoint is not finite.",
    "time_to_half_angle_to_end": "Updates until 1 − cosine between the kernels and their final "
    "values is half its initial value. It does not depend on the scale of the weights.",
    "time_to_half_way_from_start": "Updates until the layer is half as far from its start as at "
    "the end.",
    "time_to_half_similarity": "Updates until 1 − similarity of the layer's activations to the "
    "final ones is half its initial value.",
    "time_to_similarity": "Updates until the layer's activations have a similarity (linear CKA) of "
    "0.9 to the final ones.",
    "frequency_centroid": "Mean wave number of what the layer adds, weighted by energy. A function "
    "that is not periodic has energy at all wave numbers: a straight line has a centroid of 4 on "
    "512 points. The shares in the figures are of the target's own frequencies only.",
    "angle": "1 − cosine between the kernels at the end and at the start. It does not depend on "
    "the scale of the weights.",
    "gradient_norm": "Norm of the gradient, RMS over the run.",
    "gradient_norm_final": "Norm of the gradient, RMS over the updates of the last record.",
    "update_norm": "How far one update moves the layer, RMS over the run.",
    "update_norm_final": "How far one update moves the layer, RMS over the last record.",
    "update_ratio": "Update norm divided by the norm of the parameters, RMS over the run.",
}


def layer_table(summary: pd.DataFrame, colors: Mapping[str, str]) -> str:
    """Returns the summary of a run as a table that `report.js` sorts.

    Args:
        summary: One row a layer, its name as index, as `keras_lcb.summary` returns it.
        colors: The colour of each layer in the figures.
    """
    headings = _heading("layer", is_number=False) + "".join(
        _heading(name, _is_number(summary[name]), is_sorted=name == "depth")
        for name in summary.columns
    )
    rows = "".join(
        f"<tr>{_layer(layer, colors[layer])}{''.join(map(_cell, row))}</tr>"
        for layer, *row in summary.itertuples()
    )
    return (
        '<p class="hint">Press a heading to sort by it. – means that there is no value.</p>'
        '<div class="box" role="region" aria-label="Table of layers" tabindex="0">'
        f'<table class="layers"><thead><tr>{headings}</tr></thead><tbody>{rows}</tbody></table>'
        f"</div>{_meanings(summary)}"
    )


def settings_table(settings: Mapping[str, Any]) -> str:
    """Returns names and values, as a table of two columns."""
    rows = "".join(
        f'<tr><th scope="row">{escape(name)}</th><td>{escape(str(value))}</td></tr>'
        for name, value in settings.items()
    )
    return f'<div class="box" tabindex="0"><table class="settings">{rows}</table></div>'


def facts(entries: Mapping[str, Any]) -> str:
    """Returns the few facts at the top of the report, as a description list."""
    items = "".join(
        f"<div><dt>{escape(name)}</dt><dd>{escape(number(value))}</dd></div>"
        for name, value in entries.items()
    )
    return f'<dl class="facts">{items}</dl>'


def number(value: Any) -> str:
    """Returns a value as text: three digits, separated thousands, – for NaN.

    Example:
        >>> number(1234567), number(0.012345), number(999.7), number(float("nan")), number("Dense")
        ('1,234,567', '0.0123', '1,000', '–', 'Dense')
    """
    if isinstance(value, Integral):
        return f"{int(value):,}"
    if isinstance(value, Real):
        value = float(value)
        if not np.isfinite(value):
            return "–" if np.isnan(value) else str(value)
        # From 999.5 on, three digits would be 1e+03.
        return f"{value:,.0f}" if 999.5 <= abs(value) < 1e7 else f"{value:.3g}"
    return str(value)


def _is_number(column: pd.Series) -> bool:
    return column.dtype.kind in "iuf"


def _heading(name: str, is_number: bool, is_sorted: bool = False) -> str:
    kind = ' class="number"' if is_number else ""
    order = ' aria-sort="ascending"' if is_sorted else ""
    return f'<th scope="col"{kind}{order}><button type="button">{_words(name)}</button></th>'


def _words(name: str) -> str:
    return escape(name.replace("_", " "))


def _meanings(summary: pd.DataFrame) -> str:
    told = {name: _MEANINGS[name] for name in summary.columns if name in _MEANINGS}
    items = "".join(f"<dt>{_words(name)}</dt><dd>{text}</dd>" for name, text in told.items())
    return f"<details><summary>What the columns mean</summary><dl>{items}</dl></details>"


def _layer(name: str, color: str) -> str:
    swatch = f'<span class="swatch" style="background: {theme_color(color)}"></span>'
    label = f"<span>{escape(name).replace('/', '/<wbr>')}</span>"
    value = escape(name)
    return f'<th scope="row" data-value="{value}"><span class="name">{swatch}{label}</span></th>'


def _cell(value: Any) -> str:
    is_number = isinstance(value, Real)
    sortable = str(value)
    if is_number and not np.isfinite(value):  # as JavaScript writes it; "" is sorted last
        sortable = "" if np.isnan(value) else str(value).replace("inf", "Infinity")
    kind = ' class="number"' if is_number else ""
    return f'<td{kind} data-value="{escape(sortable)}">{escape(number(value))}</td>'
