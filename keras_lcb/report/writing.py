"""A run as one HTML file."""

from __future__ import annotations

import base64
import hashlib
import os
from collections.abc import Iterable
from html import escape
from importlib import resources
from string import Template
from typing import TYPE_CHECKING, Any

import numpy as np

import keras_lcb
from keras_lcb.analysis.bias import convergence_bias
from keras_lcb.analysis.summary import summary
from keras_lcb.plotting.curvature import WHOLE
from keras_lcb.plotting.style import layer_colors
from keras_lcb.report import interactive, recipe
from keras_lcb.report.caveats import caveats, notices
from keras_lcb.report.diagnosis import findings, item
from keras_lcb.report.figures import figures
from keras_lcb.report.svg import palette
from keras_lcb.report.table import facts, layer_table, settings_table
from keras_lcb.runs import schema
from keras_lcb.runs.atomic import write_atomically
from keras_lcb.runs.received import check_run

if TYPE_CHECKING:
    import xarray as xr

_TOLD_ELSEWHERE = (
    schema.MARKER,
    "settings",
    "missing",
    "provisional",
    "first_nonfinite_update",
    "nonfinite_updates",
    "skipped_updates",
)
_ENDPOINTS = {"final": "final weights", "model": "the model's weights"}


def write_report(
    run: xr.Dataset, path: str | os.PathLike[str], *, title: str = "Which layer converges faster?"
) -> None:
    """Writes a report on a run: verdict, figures, table of layers, caveats, settings, recipe.

    The report is one self-contained HTML file, for wide and narrow screens, in a light and a dark
    theme. It takes about a second. If writing fails, an existing file at `path` stays unchanged.
    A sentence stands in place of a figure that ends with an error, and a warning names the figure.

    Args:
        run: A run, as callbacks and `collect` return it.
        path: The file to write, usually `….html`. Its folder must exist.
        title: The heading of the report. Defaults to "Which layer converges faster?".

    Raises:
        ValueError: If `run` is not a run, or holds no layers or no records.
        OSError: If the file cannot be written.

    Example:
        >>> import pathlib, tempfile
        >>> from keras_lcb.runs import example_run
        >>> path = pathlib.Path(tempfile.mkdtemp(), "report.html")
        >>> write_report(example_run(layers=2, gradients=False), path)
        >>> path.read_text().startswith("<!doctype html>")
        True
    """
    write_atomically(path, page(run, title).encode())


def page(run: xr.Dataset, title: str) -> str:
    """Returns the report as HTML."""
    check_run(run)
    if not schema.is_run(run) or not run.sizes.get("layer"):
        raise ValueError(
            "A report needs a run with at least one layer. Pass a callback's `results`, or what "
            "`collect` returned."
        )
    if run.sizes.get("step") == 0:
        raise ValueError("The run holds no records yet. Train the model first.")
    script = _beside("report.js") + interactive.script()
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    colors = dict(zip(run["layer"].values.tolist(), layer_colors(run), strict=True))
    return Template(_beside("template.html")).substitute(
        title=escape(title),
        style=_beside("report.css") + interactive.style(),
        palette=palette(run.sizes["layer"], run.sizes.get("frequency", 0)),
        script=script,
        script_hash=f"sha256-{digest}",
        facts=facts(_facts(run)),
        notices=_notices(run),
        verdict=_verdict(run),
        explore=interactive.section(run),
        figures=figures(run),
        table=layer_table(summary(run), colors),
        caveats=_list(caveats(run)),
        settings=settings_table(_settings(run)),
        recipe=_recipe(run),
    )


def _notices(run: xr.Dataset) -> str:
    found = findings(run)
    above = notices(run, {finding.name for finding in found})
    told = [f'<p class="notice">{escape(notice)}</p>' for notice in above]
    return "".join([*told, *map(item, found)])


def _beside(name: str) -> str:
    return resources.files("keras_lcb.report").joinpath(name).read_text(encoding="utf-8")


def _verdict(run: xr.Dataset) -> str:
    """Returns the verdict as HTML, with its first sentence in large type."""
    if "normalized_distance" not in run and "distance" not in run:
        return _sentence(
            "No verdict: the run holds no distances. The callback LayerConvergence records them."
        )
    bias = convergence_bias(run)
    first, _, rest = str(bias).partition(". ")
    return _sentence(f"{first.rstrip('.')}.") + (f"<p>{escape(rest)}</p>" if rest else "")


def _sentence(text: str) -> str:
    return f'<p class="verdict">{escape(text)}</p>'


def _facts(run: xr.Dataset) -> dict[str, Any]:
    # The row of the whole model counts only where no others are.
    own = run["layer"].values != WHOLE
    own = own | ~own.any()
    found: dict[str, Any] = {"layers": int(own.sum())}
    if "parameters" in run.coords:
        of_one = run["parameters"].isel(seed=0, missing_dims="ignore")
        found["parameters"] = int(of_one.values[own].sum())
    if "step" in run.coords:
        found["updates"] = int(run["step"].max())
    if run.sizes.get("seed", 1) > 1:
        found["seeds"] = run.sizes["seed"]
    for name, text in {"loss": "last loss", "validation_loss": "last validation loss"}.items():
        if name in run and "step" in run[name].dims and run[name].notnull().any():
            found[text] = float(np.mean(_last_of_each_seed(run[name])))
    if "reference" in run.attrs:
        reference = str(run.attrs["reference"])
        found["measured to"] = _ENDPOINTS.get(reference, reference)
    if "optimizer" in run.attrs:
        found["optimizer"] = str(run.attrs["optimizer"])
    return found


def _last_of_each_seed(values: xr.DataArray) -> list[float]:
    """Returns the last value of each seed that has one."""
    seeds = [values.isel(seed=place) for place in range(values.sizes.get("seed", 0))] or [values]
    known = [each.dropna("step") for each in seeds]
    return [float(each.isel(step=-1)) for each in known if each.size]


def _settings(run: xr.Dataset) -> dict[str, Any]:
    plain = {
        name.replace("_", " "): value
        for name, value in run.attrs.items()
        if name not in _TOLD_ELSEWHERE
    }
    nested = {
        f"{name}: {option}" if option else name: value
        for name, options in schema.settings(run).items()
        for option, value in (options.items() if isinstance(options, dict) else [("", options)])
    }
    found = {**plain, **nested, "report made by": f"keras_lcb {keras_lcb.__version__}"}
    return {
        name: f"{value:.6g}" if isinstance(value, float) else value
        for name, value in found.items()
        if value is not None
    }


def _recipe(run: xr.Dataset) -> str:
    own = f"<p>This records such a run of your own model:</p>{_code(recipe.code(run))}"
    made_by = recipe.command(run)
    return own if made_by is None else f"<p>This made the run:</p>{_code(made_by)}{own}"


def _code(text: str) -> str:
    return f'<div class="box" tabindex="0"><pre><code>{escape(text)}</code></pre></div>'


def _list(sentences: Iterable[str]) -> str:
    return f"<ul>{''.join(f'<li>{escape(sentence)}</li>' for sentence in sentences)}</ul>"
