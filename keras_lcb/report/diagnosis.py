"""The part of a report on the findings of a diagnosis, which comes before the figures."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

from keras_lcb.diagnosis import Finding, diagnose

if TYPE_CHECKING:
    import xarray as xr


def diagnosis(run: xr.Dataset) -> str:
    """Returns the findings of a run as HTML, each with its evidence; "" if there are none.

    Runs stacked along `seed` have no findings, because a diagnosis examines one training.
    """
    if "seed" in run.dims or "step" not in run.dims:
        return ""
    return "".join(map(_item, diagnose(run)))


def _item(finding: Finding) -> str:
    told, *further = str(finding).splitlines()
    lines = "".join(f"<p>{escape(line.strip())}</p>" for line in further)
    return f'<details class="notice"><summary>{escape(told)}</summary>{lines}</details>'
