"""The viewer in notebooks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import anywidget
import traitlets

from keras_lcb.viewer.bundle import path
from keras_lcb.viewer.compact import compact

if TYPE_CHECKING:
    import xarray as xr


class Viewer(anywidget.AnyWidget):
    """Shows a run, or several side by side on the same scales, to play through.

    It works in JupyterLab, Notebook, Voilà, VS Code and Colab, and loads nothing from elsewhere.

    Args:
        run: A run, runs stacked along `seed` (their mean, with a band), or a dictionary from
            titles to runs, which then stand side by side.
        quantity: The quantity to show first, such as `"gradient_norm"`. By default the distance
            to the end, or what the run has instead.
        layer: The layer to choose first. By default none.
        update: The update to show first. By default the last.

    Attributes:
        quantity, layer, update: What is shown now. Setting them moves the picture; they follow
            what the reader chooses.

    Raises:
        ValueError: If there is no run, or one holds no layers or no records.

    Example:
        >>> from keras_lcb.synthetic import Config, run
        >>> viewer = Viewer(run(Config(depth=2, width=8, updates=20, record_every=10)))
        >>> viewer.update = 10  # as if the reader had moved the slider
    """

    _esm = path("widget.js")
    _css = path("viewer.css")

    shown: Any = traitlets.List().tag(sync=True)
    quantity = traitlets.Unicode("").tag(sync=True)
    layer = traitlets.Unicode("").tag(sync=True)
    update = traitlets.Int(-1).tag(sync=True)

    def __init__(
        self,
        run: xr.Dataset | Mapping[str, xr.Dataset],
        *,
        quantity: str = "",
        layer: str = "",
        update: int = -1,
    ) -> None:
        super().__init__(shown=_forms(run), quantity=quantity, layer=layer, update=update)

    def show(self, run: xr.Dataset | Mapping[str, xr.Dataset]) -> None:
        """Shows another run, or the same one as it goes on; what was chosen stays.

        Args:
            run: As above.
        """
        self.shown = _forms(run)


def _forms(run: xr.Dataset | Mapping[str, xr.Dataset]) -> list[dict[str, Any]]:
    import xarray as xr

    runs = {"": run} if isinstance(run, xr.Dataset) else dict(run)
    if not runs:
        raise ValueError("There is nothing to show: pass a run, or a dictionary of runs.")
    return [{"title": title, "form": compact(one)} for title, one in runs.items()]
