"""The exports of a lab: figures, data and a film, as bytes and as links that save them."""

from __future__ import annotations

import base64
import html
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import xarray as xr

from keras_lcb.runs.storage import save_run

_FRAMES = 24
_TYPES = {
    "png": "image/png",
    "svg": "image/svg+xml",
    "csv": "text/csv",
    "nc": "application/x-netcdf",
    "gif": "image/gif",
}
KINDS = (
    ("figure (PNG)", "png"),
    ("figure (SVG)", "svg"),
    ("data (CSV)", "csv"),
    ("data (netCDF)", "nc"),
    ("film (GIF)", "gif"),
)
_FILM = "gif"


def kinds_for(view: Any) -> tuple[tuple[str, str], ...]:
    """Returns the kinds of files that runs can be exported as whose views are like this one.

    A film shows which layer carries which frequency.
    """
    film = "frequency" in view.axes()
    return tuple((label, kind) for label, kind in KINDS if film or kind != _FILM)


def exported(
    kind: str,
    run: xr.Dataset | None,
    quantities: Sequence[str] = (),
    *,
    shown: Mapping[str, xr.Dataset] | None = None,
) -> bytes:
    """Returns the figures or the data of a run as the content of a file.

    Args:
        kind: "png" or "svg" for the figures; "csv", "nc" or "gif" for the data.
        run: The run, or `None` if there is none.
        quantities: Quantities of the run that get a figure beside the usual ones. Defaults to none.
        shown: The runs in the figures, by what stands above them, where there are two side by side.
            Defaults to `None`: the run alone.

    Raises:
        ValueError: If there is no such kind, no run yet, or nothing for a film in the run.
        OSError: If there is no room for a temporary file.
    """
    if kind not in _TYPES:
        raise ValueError(f"`kind` must be one of {', '.join(_TYPES)}; received {kind!r}.")
    if run is None:
        raise ValueError("There is no finished run to export yet. Press Start first.")
    if kind in ("png", "svg"):
        from keras_lcb.lab.screen.still import of_runs

        return of_runs(shown or {"": run}, kind, quantities)
    if kind == "csv":
        return _table(run).encode()
    try:
        with tempfile.TemporaryDirectory() as folder:
            return _written(run, Path(folder) / f"run.{kind}")
    except OSError as error:
        raise OSError(
            f"The file could not be made ({error.strerror or error}). Make room in the folder for "
            "temporary files, or choose PNG, SVG or CSV, which need none."
        ) from error


def _written(run: xr.Dataset, path: Path) -> bytes:
    """Writes the run to a file, and returns its content."""
    if path.suffix == ".nc":
        save_run(run, path)
    else:
        from keras_lcb.lab.screen.still import DRAWING
        from keras_lcb.plotting import animate_frequencies

        film = run.isel(seed=0) if "seed" in run.dims else run
        with DRAWING:
            animate_frequencies(film, path, frames=_FRAMES, per_second=6)
    return path.read_bytes()


def link(content: bytes, kind: str, name: str) -> str:
    """Returns a link, as HTML, that saves the content under this name."""
    data = base64.b64encode(content).decode()
    file = html.escape(f"{name}.{kind}", quote=True)
    size = f"{len(content) / 1000:,.0f} kB"
    return f'<a download="{file}" href="data:{_TYPES[kind]};base64,{data}">Save {file}</a> ({size})'


def _table(run: xr.Dataset) -> str:
    """Returns a table as CSV, with a row for each record and layer."""
    names = (
        "normalized_distance",
        "distance",
        "gradient_norm",
        "update_norm",
        "angle",
        "stable_learning_rate",
        "loss",
    )
    kept = [name for name in names if name in run]
    table = run[kept].to_dataframe().reset_index()
    order = [name for name in ("seed", "step", "layer") if name in table]
    return table.sort_values(order)[[*order, *kept]].to_csv(index=False)
