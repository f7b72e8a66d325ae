"""The viewer in a report: the run to play through, where scripts run."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from keras_lcb.viewer.bundle import in_script, static
from keras_lcb.viewer.compact import compact

if TYPE_CHECKING:
    import xarray as xr

_WIDE = """
@media screen and (min-width: 1300px) {
  #lcb-viewer { margin-inline: calc(50% - min(50vw - 1.5rem, 56rem)); }
}
figure svg .lcb-faded { opacity: 0.15; }
tr.lcb-hovered > * { background: color-mix(in srgb, var(--accent) 14%, var(--card)) !important; }
"""


def section(run: xr.Dataset) -> str:
    """Returns the part of the page that the viewer fills, with the run in it.

    It is hidden until the viewer shows it: without scripts, the figures stand alone.
    """
    if not run.sizes.get("step"):  # measured once, without training: nothing to play through
        return ""
    data = in_script(json.dumps(compact(run), allow_nan=False, separators=(",", ":")))
    return (
        '<section aria-labelledby="explore-heading" hidden>'
        '<h2 id="explore-heading">Play through the training</h2>'
        '<div id="lcb-viewer"></div>'
        f'<script type="application/json" id="lcb-run">{data}</script></section>'
    )


def style() -> str:
    """Returns the viewer's styles; on wide screens it is wider than the text around it."""
    return static("viewer.css") + _WIDE


def script() -> str:
    """Returns the viewer's script."""
    return static("report.js")
