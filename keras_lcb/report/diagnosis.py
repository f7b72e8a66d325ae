"""The part of a report on the findings of a diagnosis, which comes before the figures."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

from keras_lcb.diagnosis import Finding, diagnose

if TYPE_CHECKING:
    import xarray as xr


def findings(run: xr.Dataset) -> list[Finding]:
    """Returns the findings of a run.

    Runs stacked along `seed` have none, because a diagnosis examines one training.
    """
    if "seed" in run.dims or "step" not in run.dims:
        return []
    return list(diagnose(run))


def item(finding: Finding) -> str:
    """Returns a finding as HTML, with its evidence."""
    told, *further = str(finding).splitlines()
    lines = "".join(f"<p>{escape(line.strip())}</p>" for line in further)
    return f'<details class="notice"><summary>{escape(told)}</summary>{lines}</details>'
