"""`Lab`: the parts of a lab, wired to one another as a declaration says."""

from __future__ import annotations

import base64
import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Self

import xarray as xr

from keras_lcb.lab.controls import panel
from keras_lcb.lab.declaration import Declaration
from keras_lcb.lab.engine.drivers import DriverName, make_driver
from keras_lcb.lab.engine.session import Session, State
from keras_lcb.lab.pictures.canvas import DESK, PROJECTOR
from keras_lcb.lab.screen.buttons import Buttons
from keras_lcb.lab.screen.exports import exported, link
from keras_lcb.lab.screen.gallery import Gallery
from keras_lcb.lab.screen.history import Entry, History
from keras_lcb.lab.screen.layout import Parts, laid_out
from keras_lcb.lab.screen.notebook_cells import remember
from keras_lcb.lab.screen.prediction import Prediction
from keras_lcb.lab.screen.progress import Progress
from keras_lcb.lab.screen.sharing import Sharing
from keras_lcb.lab.settings.declared import Declared
from keras_lcb.lab.settings.line import DEFAULT, read_line
from keras_lcb.lab.settings.presets import preset_named
from keras_lcb.lab.settings.query import as_query
from keras_lcb.lab.views.questions import Question
from keras_lcb.lab.views.view import stacked

# Sections that can be hidden, like the controls.
SECTIONS = ("history", "share")


class Lab:
    """What all labs are. A lab declares itself, and `DepthLab` describes the arguments.

    Attributes:
        declared: All that makes this lab differ from another.
        widget: The whole lab, an ipywidgets widget.
    """

    declared: ClassVar[Declaration]

    def __init__(
        self,
        preset: str = "",
        *,
        show: Sequence[str] | None = None,
        pictures: Sequence[str] | None = None,
        predict: bool | str = False,
        projector: bool = False,
        driver: DriverName = "auto",
        **changes: Any,
    ) -> None:
        declared = self.declared
        preset = preset or next(iter(declared.presets))
        known = preset_named(preset, declared.presets).settings
        settings = _changed(known, {n: v for n, v in changes.items() if v is not None})
        everything = (*panel.names(declared.settings), *SECTIONS)
        few = (*panel.names_on_projector(declared.settings), *SECTIONS)
        self._show = _chosen("show", show, few if projector else everything, everything)
        every_picture = tuple(declared.panels)
        self._shown_pictures = _chosen("pictures", pictures, every_picture, every_picture)
        self._default_show = show is None
        self._projector = bool(projector)
        self._predict = _question(predict, declared.questions)
        self._session = Session(
            make_driver(driver), declared.engine, self._live, self._on_state, self._on_end
        )
        self._controls = panel.Controls(
            settings, declared.presets, preset if settings == known else ""
        )
        self._view: Any = None
        self._shown: Any = settings  # the settings to which the view belongs
        self._note = ""  # the text before the description of the pictures
        self._applying = False
        self._closed = False
        self._build()
        self._show_cached()
        remember(self)

    @property
    def settings(self) -> Any:
        """The current settings of the controls."""
        return self._controls.settings

    @property
    def run(self) -> xr.Dataset | None:
        """The newest run, stacked along `seed` if it has several seeds; `None` before the first."""
        return self._history.entries[-1].run if self._history.entries else None

    @property
    def state(self) -> str:
        """What the lab is doing: "ready", "training", "paused", "done" and so on."""
        return self._session.state.value

    @property
    def sentence(self) -> str:
        """What the pictures show, in words."""
        return self._gallery.said

    @property
    def config(self) -> str:
        """One line that rebuilds this lab with `from_config`, and the query of its address."""
        look: dict[str, Any] = {"lab": name} if (name := self.declared.name) != DEFAULT else {}
        if not self._default_show:
            look["show"] = self._show
        if self._shown_pictures != tuple(self.declared.panels):
            look["pictures"] = self._shown_pictures
        if self._predict:
            look["predict"] = self._predict
        if self._projector:
            look["projector"] = True
        return self.settings.to_text() + (f"&{as_query(look)}" if look else "")

    @classmethod
    def from_config(cls, text: str, *, driver: DriverName = "auto") -> Self:
        """Returns the lab that a line describes. Settings that it does not name have defaults.

        Args:
            text: A line from "Copy settings", such as `depth=3&learning_rate=0.1`, or the query of
                an address. It may also name a `preset` to start from.
            driver: See `DepthLab`.

        Raises:
            ValueError: If the line names an unknown setting, or a value is not valid.

        Example:
            >>> from keras_lcb.lab import DepthLab
            >>> DepthLab.from_config("depth=3&learning_rate=0.05").settings.depth
            3
        """
        declared = cls.declared
        preset, settings, look = read_line(text, declared.name, declared.presets)
        values: dict[str, Any] = dataclasses.asdict(settings)
        return cls(preset, **values, **look, driver=driver)

    def start(self) -> None:
        """Starts or continues the training."""
        if self._may_start():
            self._session.start(self._to_train())

    def pause(self) -> None:
        """Pauses the training after the next record."""
        self._session.pause()

    def step(self) -> None:
        """Trains up to the next record, then pauses."""
        if self._may_start():
            self._session.start(self._to_train(), records=1)

    def stop(self) -> None:
        """Ends the training and keeps its records."""
        self._session.stop()

    def reset(self) -> None:
        """Ends the training and discards its records."""
        self._session.reset()
        if self._prediction is not None:
            self._prediction.ask()
        self._view = None
        self._show_cached()

    def export(self, kind: str) -> bytes:
        """Returns the figure or the newest run as the content of a file.

        Args:
            kind: "png" or "svg" for the figure, "csv", "nc" (netCDF) or "gif" for the newest run.

        Raises:
            ValueError: If there is no such kind, or no run yet.
        """
        return exported(kind, self._gallery.canvas, self.run)

    def close(self) -> None:
        """Ends the training, waits for its threads, and removes the lab from the page."""
        self._closed = True
        self._session.close()
        self.widget.close()

    def _repr_mimebundle_(self, **kwargs: Any) -> dict[str, Any]:
        """Returns the widget for notebooks, and a picture for programs that show no widgets."""
        shown = self.widget._repr_mimebundle_(**kwargs) or {}
        # Encoded as text, since ipykernel would pass raw bytes on as a list of numbers.
        picture = base64.b64encode(self._gallery.image.value).decode()
        return {**shown, "image/png": picture, "text/plain": f"{self!r}\n{self.sentence}"}

    def __repr__(self) -> str:
        return f'{type(self).__name__}.from_config("{self.config}")'

    # Building.

    def _build(self) -> None:
        self._gallery = Gallery(
            self.declared, self._shown_pictures, PROJECTOR if self._projector else DESK
        )
        self._progress = Progress()
        self._buttons = Buttons(self)
        questions = self.declared.questions
        self._prediction = Prediction(questions[self._predict]) if self._predict else None
        self._history = History(self._restore, self._export_link)
        self._sharing = Sharing(f"lcb.lab.{type(self).__name__}.from_config")
        self._observe()
        self.widget = laid_out(self._parts(), self._projector)
        self._on_state()

    def _parts(self) -> Parts:
        controls = self._controls.by_name
        asked = [self._prediction.widget] if self._prediction is not None else []
        sections = {"history": self._history.widget, "share": self._sharing.widget}
        return Parts(
            left=[
                *(controls[name].widget for name in controls if name in self._show),
                *asked,
                self._buttons.widget,
                self._progress.bar,
                self._progress.status,
            ],
            pictures=self._gallery.image,
            sentence=self._gallery.sentence,
            below=[section for name, section in sections.items() if name in self._show],
        )

    def _observe(self) -> None:
        controls, session = self._controls, self._session
        settings = controls.of_settings()
        for control in settings.values():
            control.observe(self._changed)
        controls.preset.observe(self._apply_preset)
        rate, speed = settings["learning_rate"], settings["speed"]
        rate.observe(lambda: session.set_learning_rate(rate.value))
        speed.observe(lambda: session.set_speed(speed.value))
        controls.highlight.observe(self._redraw)
        controls.compare.observe(self._redraw)
        if self._prediction is not None:
            self._prediction.observe(self._on_state)

    # What the controls do.

    def _changed(self) -> None:
        """Handles a changed setting: leaves the preset, and asks for a new prediction."""
        self._changed_quietly()
        if self._applying or self._session.active:
            return
        self._controls.preset.value = ""
        if self._prediction is not None and self._session.state is not State.READY:
            self._prediction.ask()
        self._on_state()

    def _changed_quietly(self) -> None:
        self._controls.offer_layers()
        self._sharing.show(self.config)

    def _apply_preset(self) -> None:
        name = self._controls.preset.value
        if name and not self._applying:
            self._apply(self.declared.presets[name].settings)
            self.reset()

    def _apply(self, settings: Declared) -> None:
        self._applying = True
        try:
            self._controls.settings = settings
        finally:
            self._applying = False
        self._changed_quietly()

    def _to_train(self) -> Declared:
        """Returns the settings to train; if a run is compared, with the seed of that run."""
        settings, beside = self.settings, self._beside()
        if beside is not None and beside.settings.seed != settings.seed:
            settings = dataclasses.replace(settings, seed=beside.settings.seed)
            self._apply(settings)  # not a change by the user, so the prediction stays
            self._controls.preset.value = ""
        return settings

    def _beside(self) -> Entry | None:
        """Returns the past run that is shown on the left, if any."""
        number = self._controls.compare.value
        return self._history.entry(number) if number else None

    @property
    def _must_predict(self) -> bool:
        return self._prediction is not None and self._prediction.answer is None

    def _may_start(self) -> bool:
        if self._closed or self._controls.wrong:
            return False
        return self._session.active or not self._must_predict

    def _restore(self, entry: Entry) -> None:
        if self._session.active:
            return
        self._apply(entry.settings)
        self._controls.preset.value = ""
        self._note = f"Run {entry.number}, from the table of past runs."
        self._shown = entry.settings
        self._view = entry.view
        self._redraw()

    def _export_link(self, entry: Entry, kind: str) -> str:
        if kind in ("png", "svg"):
            return link(exported(kind, self._gallery.canvas, None), kind, "lab")
        content = exported(kind, self._gallery.canvas, entry.run)
        return link(content, kind, f"run-{entry.number}")

    # Called by the session, from its threads.

    def _live(self, view: Any) -> None:
        self._note, self._shown = "", self._session.settings
        self._view = view
        self._redraw()
        self._say_progress()

    def _on_end(self, runs: list[xr.Dataset]) -> None:
        if not runs:
            return
        settings = self._session.settings
        run = stacked(runs)
        view = self.declared.view_of(run, settings.planned)
        predicted = self._prediction.compare(view) if self._prediction is not None else ""
        ended = self._session.state.value.split(":")[0]
        entry = self._history.add(settings, run, view, ended, predicted)
        self._controls.offer_runs([(kept.title, kept.number) for kept in self._history.entries])
        self._note = f"Run {entry.number}, with distances to its final weights."
        self._shown = settings
        self._view = view
        self._redraw()

    def _on_state(self) -> None:
        running, active = self._session.state is State.RUNNING, self._session.active
        may_start = not running and self._may_start()
        self._buttons.enable(
            {
                "Start": may_start,
                "Pause": running,
                "Step": may_start,
                "Stop": active,
                "Reset": True,
            }
        )
        self._controls.lock(active)
        if self._prediction is not None:
            self._prediction.lock(active)
        self._say_progress()

    def _say_progress(self) -> None:
        opening = self.declared.opening(self._session.settings)
        self._progress.show(self._session, opening, self._must_predict)

    # Pictures.

    def _show_cached(self) -> None:
        """Shows the run that comes with the package for these settings, if there is one."""
        self._changed_quietly()
        self._shown = settings = self.settings
        cached = self.declared.cached(dataclasses.replace(settings, speed=0))
        # If the user must predict, a finished run would give the answer away.
        if cached is None or self._prediction is not None:
            self._view, self._note = None, ""
            self._gallery.blank("Press Start, and watch the layers learn.")
            return
        self._note = f"{cached[0]} This run comes with the lab; press Start for your own."
        self._view = cached[1]
        self._redraw()

    def _redraw(self) -> None:
        view, beside = self._view, self._beside()
        if view is None:
            return
        highlight = self._controls.highlight.value
        busy = self._session.state is State.RUNNING
        if beside is None or beside.view is view:
            self._gallery.show(view, self._shown, self._note, highlight, busy=busy)
        else:
            self._gallery.compare(beside, view, self._shown, highlight, busy=busy)


def _changed(settings: Declared, changes: Mapping[str, Any]) -> Any:
    unknown = [name for name in changes if name not in settings.declared()]
    if unknown:
        known = ", ".join(settings.declared())
        raise TypeError(f"The settings of this lab are {known}; received '{unknown[0]}'.")
    return dataclasses.replace(settings, **changes)


def _chosen(
    name: str, given: Sequence[str] | None, default: Sequence[str], known: Sequence[str]
) -> tuple[str, ...]:
    if given is None:
        return tuple(default)
    chosen = (given,) if isinstance(given, str) else tuple(given)
    unknown = [part for part in chosen if part not in known]
    if unknown:
        raise ValueError(
            f"`{name}` must hold names out of {', '.join(known)}; received '{unknown[0]}'."
        )
    return chosen


def _question(predict: bool | str, questions: Mapping[str, Question]) -> str:
    if not predict:
        return ""
    name = next(iter(questions)) if predict is True else predict
    if name not in questions:
        raise ValueError(
            f"`predict` must be true, false or one of {', '.join(questions)}; received {predict!r}."
        )
    return str(name)
