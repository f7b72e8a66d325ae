"""Past runs of a lab: a table, and buttons to restore and export each run."""

from __future__ import annotations

import functools
import html
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import ipywidgets as widgets
import xarray as xr

from keras_lcb.lab.screen.exports import KINDS
from keras_lcb.lab.settings.declared import Declared
from keras_lcb.lab.views.form import POINTS
from keras_lcb.lab.views.sentence import found_in
from keras_lcb.viewer.compact import compact

MOST = 20  # how many runs are kept; each takes a few megabytes


@dataclass(frozen=True)
class Entry:
    """One past run.

    Attributes:
        number: The number of the run, from 1.
        settings: The settings of the training.
        run: The run, stacked over seeds if there are several.
        view: The view of the run.
        form: The run as the viewer reads it.
        ended: How the training ended.
        predicted: Prediction and outcome, if there was a prediction. Defaults to "".
        left_out: Which seeds are not in the run, and why, in a sentence. Defaults to "".
    """

    number: int
    settings: Declared
    run: xr.Dataset
    view: Any
    form: Mapping[str, Any]
    ended: str
    predicted: str = ""
    left_out: str = ""

    @property
    def name(self) -> str:
        """The run in two words."""
        return f"run {self.number}"

    @property
    def title(self) -> str:
        """The run in a few words."""
        return f"{self.name}: {self.settings.in_words()}"

    @functools.cached_property
    def found(self) -> str:
        """What is wrong with the run, in a sentence; "" if nothing was found."""
        return found_in(self.run)


class History:
    """The table of past runs, with restoring and exporting.

    Args:
        restore: A function that shows an entry again.
        export: A function of an entry and a kind of file that returns a link as HTML.
        kinds: The kinds of files, each with its label. Defaults to all.
    """

    def __init__(
        self,
        restore: Callable[[Entry], None],
        export: Callable[[Entry, str], str],
        kinds: Sequence[tuple[str, str]] = KINDS,
    ) -> None:
        self._export = export
        self.entries: list[Entry] = []
        self._count = 0
        self._table = widgets.HTML()
        self._chosen = widgets.Dropdown(
            description="Run",
            tooltip="A past run",
            options=[],
            layout={"width": "auto"},
            style={"description_width": "initial"},
        )
        again = widgets.Button(
            description="Restore",
            tooltip="Show its settings and pictures again",
            layout={"width": "auto"},
        )
        self._kind = widgets.Dropdown(
            description="as",
            options=kinds,
            tooltip="What to export",
            layout={"width": "190px"},
            style={"description_width": "initial"},
        )
        out = widgets.Button(
            description="Export",
            tooltip="Make a file that you can save",
            layout={"width": "auto"},
        )
        self._link = widgets.HTML()
        for choice in (self._chosen, self._kind):
            choice.observe(self._forget, "value")
        again.on_click(lambda _: self._with_chosen(restore))
        out.on_click(lambda _: self._with_chosen(self._offer))
        row = widgets.HBox(
            [self._chosen, again, self._kind, out, self._link],
            layout={"flex_flow": "row wrap", "align_items": "center"},
        )
        self._empty = widgets.HTML("No run yet. Finished runs are listed here.")
        self._full = widgets.VBox([self._table, row], layout={"display": "none"})
        self.widget = widgets.VBox([self._empty, self._full])

    def add(
        self,
        settings: Declared,
        run: xr.Dataset,
        view: Any,
        ended: str,
        predicted: str,
        left_out: str = "",
    ) -> Entry:
        """Adds a run, and drops the oldest one if there are too many."""
        self._count += 1
        form = compact(run, points=POINTS)
        entry = Entry(self._count, settings, run, view, form, ended, predicted, left_out)
        self.entries = [*self.entries, entry][-MOST:]
        self._chosen.options = [(kept.name, kept.number) for kept in reversed(self.entries)]
        self._chosen.value = entry.number
        self._table.value = table(self.entries)
        self._empty.layout.display, self._full.layout.display = "none", None
        return entry

    def entry(self, number: int) -> Entry | None:
        """Returns the run with this number; `None` if it is no longer kept."""
        return next((entry for entry in self.entries if entry.number == number), None)

    def _with_chosen(self, act: Callable[[Entry], None]) -> None:
        entry = self.entry(self._chosen.value)
        if entry is not None:
            act(entry)

    def _forget(self, change: Any) -> None:
        """Removes the link, so that nobody clicks on the link of a previous choice."""
        self._link.value = f"Press Export for the {self._kind.label}."

    def _offer(self, entry: Entry) -> None:
        self._link.value = "one moment …"
        try:
            self._link.value = self._export(entry, self._kind.value)
        except (ValueError, OSError) as refusal:
            self._link.value = html.escape(str(refusal))


def table(entries: list[Entry]) -> str:
    """Returns the runs as an HTML table, the newest first: two rows for each."""
    heads = [*entries[-1].view.outcome(), "ended", "prediction"]
    bodies = []
    for entry in reversed(entries):
        cells = (*entry.view.outcome().values(), entry.ended, entry.predicted)
        row = "".join(f"<td>{html.escape(cell)}</td>" for cell in cells)
        # The settings have a row of their own, so that all fits on a phone and a projector.
        title = f"<th scope='rowgroup' colspan='{len(cells)}'>{html.escape(entry.title)}</th>"
        bodies.append(f"<tbody><tr>{title}</tr><tr>{row}</tr></tbody>")
    head = "".join(f"<th scope='col'>{html.escape(text)}</th>" for text in heads)
    return f"<table class='keras-lcb-runs'><thead><tr>{head}</tr></thead>{''.join(bodies)}</table>"
