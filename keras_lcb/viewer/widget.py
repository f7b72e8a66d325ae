"""The viewer in notebooks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, cast

import anywidget
import traitlets

from keras_lcb.runs.received import check_run
from keras_lcb.viewer.bundle import path
from keras_lcb.viewer.compact import compact

if TYPE_CHECKING:
    import xarray as xr

    Shown = xr.Dataset | Mapping[str, Any]


class Viewer(anywidget.AnyWidget):
    """Shows a run, or several side by side on the same scales, to play through.

    It works in JupyterLab, Notebook, Voilà, VS Code and Colab, and loads nothing from elsewhere.

    Args:
        run: A run, runs stacked along `seed` (their mean, with a band), what `compact` returns
            for one, or a dictionary from titles to such, which then stand side by side.
        quantity: The quantity to show first, such as `"gradient_norm"`. By default the distance
            to the end, or what the run has instead.
        layer: The layer to choose first. By default none.
        update: The update to show first. By default the last.
        panels: The panels to show, in their order: names of the files in `viewer/src/panels`, or
            `"quantity:"` with the name of a quantity, to which the panel then keeps. By default
            all panels for which the run has something.

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
    panels: Any = traitlets.List(traitlets.Unicode()).tag(sync=True)

    def __init__(
        self,
        run: Shown,
        *,
        quantity: str = "",
        layer: str = "",
        update: int = -1,
        panels: Sequence[str] = (),
    ) -> None:
        super().__init__(
            shown=_forms(run), quantity=quantity, layer=layer, update=update, panels=list(panels)
        )

    def show(self, run: Shown) -> None:
        """Shows another run, or the same one as it goes on; what was chosen stays.

        Args:
            run: As above.
        """
        self.shown = _forms(run)

    def more(self, form: Mapping[str, Any]) -> None:
        """Adds what is new in the last of the runs that are shown, as its training goes on.

        This sends only what it is given, so that a live picture costs little. A view that opens
        later does not have it; call `show` when training has ended.

        Args:
            form: What `compact` returns for the new part of the run. Its records follow those that
                are shown, or replace those of the same updates and all later ones.
        """
        self.send({"more": form})


def _forms(run: Shown) -> list[dict[str, Any]]:
    if not isinstance(run, Mapping):
        check_run(run)
    alone = hasattr(run, "data_vars") or "format" in run
    runs = {"": run} if alone else dict(run.items())
    if not runs:
        raise ValueError("There is nothing to show: pass a run, or a dictionary of runs.")
    return [{"title": str(title), "form": _form(one)} for title, one in runs.items()]


def _form(run: xr.Dataset | Mapping[str, Any]) -> Mapping[str, Any]:
    return compact(cast("xr.Dataset", run)) if hasattr(run, "data_vars") else run
