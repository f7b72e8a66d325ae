"""`Lab`, the base class of all labs: controls, buttons, live pictures, past runs, sharing.

A subclass defines its name (`name`), the panels that it draws (`panels`, `outline`), what it trains
(`make_training`), how it shows a run (`view_of`, `describe`), which runs come with it (`cached`),
and what users can predict (`questions`).
"""

from __future__ import annotations

import base64
import dataclasses
import html
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Self

import ipywidgets as widgets
import xarray as xr

from keras_lcb.lab.canvas import DESK, PROJECTOR, Canvas, Panel
from keras_lcb.lab.controls import CONTROLS, make_controls, offer_layers, offer_runs
from keras_lcb.lab.drivers import DriverName, make_driver
from keras_lcb.lab.exports import exported, link
from keras_lcb.lab.history import Entry, History, in_words
from keras_lcb.lab.notebook_cells import remember
from keras_lcb.lab.prediction import Prediction, Question
from keras_lcb.lab.presets import PRESETS, preset_named
from keras_lcb.lab.session import Session, State
from keras_lcb.lab.settings import Settings, as_query
from keras_lcb.lab.settings_line import DEFAULT, read_line
from keras_lcb.lab.sharing import Sharing
from keras_lcb.lab.style import style
from keras_lcb.lab.training import Training
from keras_lcb.lab.view import stacked

# Sections that can be hidden, like the controls.
SECTIONS = ("history", "share")
# The controls and sections that are shown on a projector, where there is little room.
_ON_PROJECTOR = (
    "preset",
    "depth",
    "learning_rate",
    "optimizer",
    "residual",
    "speed",
    "highlight",
    "compare",
    "history",
    "share",
)
_LIVE = ("learning_rate", "speed", "highlight")  # controls that work while training runs
_SETTINGS = tuple(field.name for field in dataclasses.fields(Settings))
_BUTTONS = {
    "Start": "Start or continue the training",
    "Pause": "Pause the training; Start continues it",
    "Step": "Train up to the next record, then pause",
    "Stop": "End the training and keep its records",
    "Reset": "End the training and discard its records",
}


class Lab:
    """The base class of labs. `DepthLab` describes the arguments.

    Attributes:
        widget: The whole lab, an ipywidgets widget.
    """

    name: ClassVar[str]  # used in the address of a page
    panels: ClassVar[Mapping[str, type[Panel]]]
    questions: ClassVar[Mapping[str, Question]]

    def __init__(
        self,
        preset: str = "bias",
        *,
        depth: int | None = None,
        width: int | None = None,
        residual: bool | None = None,
        activation: str | None = None,
        optimizer: str | None = None,
        learning_rate: float | None = None,
        target: str | None = None,
        updates: int | None = None,
        seed: int | None = None,
        seeds: int | None = None,
        speed: int | None = None,
        show: Sequence[str] | None = None,
        pictures: Sequence[str] | None = None,
        predict: bool | str = False,
        projector: bool = False,
        driver: DriverName = "auto",
    ) -> None:
        given: dict[str, Any] = {
            "depth": depth,
            "width": width,
            "residual": residual,
            "activation": activation,
            "optimizer": optimizer,
            "learning_rate": learning_rate,
            "target": target,
            "updates": updates,
            "seed": seed,
            "seeds": seeds,
            "speed": speed,
        }
        changes = {name: value for name, value in given.items() if value is not None}
        settings = dataclasses.replace(preset_named(preset).settings, **changes)
        everything = (*CONTROLS, *SECTIONS)
        self._show = _chosen("show", show, _ON_PROJECTOR if projector else everything, everything)
        self._shown_pictures = _chosen("pictures", pictures, tuple(self.panels), tuple(self.panels))
        self._default_show = show is None
        self._projector = bool(projector)
        self._predict = _question(predict, self.questions)
        look = PROJECTOR if projector else DESK
        panels = {name: self.panels[name] for name in self._shown_pictures}
        self._canvas = Canvas(panels, look, self.outline)
        self._session = Session(
            make_driver(driver), self.make_training, self._live, self._on_state, self._on_end
        )
        titles = [(known.title, name) for name, known in PRESETS.items()]
        named = preset if settings == PRESETS[preset].settings else ""
        self._controls = make_controls(settings, titles, named)
        self._view: Any = None
        self._shown = settings  # the settings to which the view belongs
        self._note = ""  # the text before the description of the pictures
        self._applying = False
        self._closed = False
        self._build()
        self._show_cached()
        remember(self)

    # Subclasses define these.

    @staticmethod
    def outline(view: Any) -> Any:
        """Returns the properties of a view that determine the axes."""
        raise TypeError("This lab must define its method `outline`.")

    @staticmethod
    def make_training(settings: Settings, seed: int) -> Training:
        """Makes the training of these settings with this seed."""
        return Training(settings.config(seed))

    @staticmethod
    def opening(settings: Settings) -> str:
        """Returns what happens before the first picture, if that takes long; otherwise ""."""
        return ""

    @staticmethod
    def view_of(run: xr.Dataset, updates: int) -> Any:
        """Returns the view of a finished run."""
        raise TypeError("This lab must define its method `view_of`.")

    @staticmethod
    def describe(view: Any) -> str:
        """Returns what the pictures show, in words."""
        raise TypeError("This lab must define its method `describe`.")

    @staticmethod
    def cached(settings: Settings) -> tuple[str, Any] | None:
        """Returns a sentence about a preset's settings, and the view of its run; else `None`."""
        return None

    # Public attributes and methods.

    @property
    def settings(self) -> Settings:
        """The current settings of the controls."""
        return Settings(**{name: self._controls[name].value for name in _SETTINGS})

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
        return self._said

    @property
    def config(self) -> str:
        """One line that rebuilds this lab with `from_config`, and the query of its address."""
        look: dict[str, Any] = {"lab": self.name} if self.name != DEFAULT else {}
        if not self._default_show:
            look["show"] = self._show
        if self._shown_pictures != tuple(self.panels):
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
        preset, settings, look = read_line(text, cls.name)
        return cls(preset, **dataclasses.asdict(settings), **look, driver=driver)

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
        return exported(kind, self._canvas, self.run)

    def close(self) -> None:
        """Ends the training, waits for its threads, and removes the lab from the page."""
        self._closed = True
        self._session.close()
        self.widget.close()

    def _repr_mimebundle_(self, **kwargs: Any) -> dict[str, Any]:
        """Returns the widget for notebooks, and a picture for programs that show no widgets."""
        shown = self.widget._repr_mimebundle_(**kwargs) or {}
        # Encoded as text, since ipykernel would pass raw bytes on as a list of numbers.
        picture = base64.b64encode(self._image.value).decode()
        return {**shown, "image/png": picture, "text/plain": f"{self!r}\n{self._said}"}

    def __repr__(self) -> str:
        return f'{type(self).__name__}.from_config("{self.config}")'

    @property
    def _running(self) -> bool:
        return self._session.state is State.RUNNING

    # Building.

    def _build(self) -> None:
        self._said = ""
        self._image = widgets.Image(format="png")
        self._sentence = widgets.HTML()
        self._sentence.add_class("keras-lcb-sentence")
        self._status = widgets.HTML()
        self._bar = widgets.IntProgress(layout={"width": "100%", "height": "8px"})
        self._buttons = {
            name: widgets.Button(description=name, tooltip=about, layout={"width": "auto"})
            for name, about in _BUTTONS.items()
        }
        for button in self._buttons.values():
            button.on_click(lambda clicked: getattr(self, clicked.description.lower())())
        self._prediction = Prediction(self.questions[self._predict]) if self._predict else None
        self._history = History(self._restore, self._export_link)
        self._sharing = Sharing(f"lcb.lab.{type(self).__name__}.from_config")
        self._observe()
        self.widget = self._laid_out()
        self._on_state()

    def _laid_out(self) -> widgets.Widget:
        controls = [self._controls[name].widget for name in CONTROLS if name in self._show]
        asked = [self._prediction.widget] if self._prediction is not None else []
        width = "350px" if self._projector else "300px"
        left = widgets.VBox(
            [
                *controls,
                *asked,
                widgets.HBox(list(self._buttons.values()), layout={"flex_flow": "row wrap"}),
                self._bar,
                self._status,
            ],
            layout={"width": width, "flex": f"0 0 {width}", "max_width": "100%"},
        )
        # On a projector, there is more room for the sentence below than beside the controls.
        pictures = widgets.Box([self._image])
        pictures.add_class("keras-lcb-pictures")
        beside, under = [pictures, self._sentence], []
        if self._projector:
            beside, under = [pictures], [self._sentence]
        right = widgets.VBox(beside, layout={"flex": "1 1 320px"})
        sections = {"history": self._history.widget, "share": self._sharing.widget}
        below = [section for name, section in sections.items() if name in self._show]
        whole = widgets.VBox(
            [
                widgets.HTML(style(self._projector), layout={"display": "none"}),
                widgets.HBox([left, right], layout={"flex_flow": "row wrap"}),
                *under,
                *below,
            ]
        )
        whole.add_class("keras-lcb-lab")
        if self._projector:
            whole.add_class("keras-lcb-projector")
        return whole

    def _observe(self) -> None:
        for name in _SETTINGS:
            self._controls[name].observe(self._changed)
        controls = self._controls
        controls["preset"].observe(self._apply_preset)
        rate, speed = controls["learning_rate"], controls["speed"]
        rate.observe(lambda: self._session.set_learning_rate(rate.value))
        speed.observe(lambda: self._session.set_speed(speed.value))
        for name in ("highlight", "compare"):
            controls[name].observe(self._redraw)
        if self._prediction is not None:
            self._prediction.observe(self._on_state)

    # What the controls do.

    def _changed(self) -> None:
        """Handles a changed setting: leaves the preset, and asks for a new prediction."""
        offer_layers(self._controls["highlight"], self._controls["depth"].value)
        self._sharing.show(self.config)
        if self._applying or self._session.active:
            return
        self._controls["preset"].value = ""
        if self._prediction is not None and self._session.state is not State.READY:
            self._prediction.ask()
        self._on_state()

    def _apply_preset(self) -> None:
        name = self._controls["preset"].value
        if name and not self._applying:
            self._apply(PRESETS[name].settings)
            self.reset()

    def _apply(self, settings: Settings) -> None:
        self._applying = True
        try:
            for name in _SETTINGS:
                self._controls[name].value = getattr(settings, name)
        finally:
            self._applying = False
        self._changed_quietly()

    def _changed_quietly(self) -> None:
        offer_layers(self._controls["highlight"], self._controls["depth"].value)
        self._sharing.show(self.config)

    def _to_train(self) -> Settings:
        """Returns the settings to train; if a run is compared, with the seed of that run."""
        settings, beside = self.settings, self._beside()
        if beside is not None and beside.settings.seed != settings.seed:
            settings = dataclasses.replace(settings, seed=beside.settings.seed)
            self._apply(settings)  # not a change by the user, so the prediction stays
            self._controls["preset"].value = ""
        return settings

    def _beside(self) -> Entry | None:
        """Returns the past run that is shown on the left, if any."""
        number = self._controls["compare"].value
        return self._history.entry(number) if number else None

    def _may_start(self) -> bool:
        if self._closed or self._controls["target"].wrong:
            return False
        fresh = not self._session.active
        return not (fresh and self._prediction is not None and self._prediction.answer is None)

    def _restore(self, entry: Entry) -> None:
        if self._session.active:
            return
        self._apply(entry.settings)
        self._controls["preset"].value = ""
        self._note = f"Run {entry.number}, from the table of past runs."
        self._shown = entry.settings
        self._view = entry.view
        self._redraw()

    def _export_link(self, entry: Entry, kind: str) -> str:
        if kind in ("png", "svg"):
            return link(exported(kind, self._canvas, None), kind, "lab")
        content = exported(kind, self._canvas, entry.run)
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
        view = self.view_of(run, settings.config().updates)
        predicted = self._prediction.compare(view) if self._prediction is not None else ""
        ended = self._session.state.value.split(":")[0]
        entry = self._history.add(settings, run, view, ended, predicted)
        offer_runs(
            self._controls["compare"], [(kept.title, kept.number) for kept in self._history.entries]
        )
        self._note = f"Run {entry.number}, with distances to its final weights."
        self._shown = settings
        self._view = view
        self._redraw()

    def _on_state(self) -> None:
        state = self._session.state
        active, running = self._session.active, state is State.RUNNING
        enabled = {
            "Start": not running and self._may_start(),
            "Pause": running,
            "Step": not running and self._may_start(),
            "Stop": active,
            "Reset": True,
        }
        for name, button in self._buttons.items():
            button.disabled = not enabled[name]
        for name, control in self._controls.items():
            control.disable(active and name not in _LIVE)
        if self._prediction is not None:
            self._prediction.lock(active)
        self._say_progress()

    def _say_progress(self) -> None:
        session = self._session
        text = session.state.value
        if session.state is State.FAILED:
            text = f"{text}: {session.error}"
        if session.active:
            done, whole = session.progress
            self._bar.max, self._bar.value = whole, done
            text += f": update {done:,} of {whole:,}"
            if session.opening and (opening := self.opening(session.settings)):
                text = opening
            left = session.seconds_left
            if left is not None and session.state is State.RUNNING:
                text += f", about {max(1, round(left)):,} s left"
        elif self._prediction is not None and self._prediction.answer is None:
            text += ": predict first, then Start"
        self._status.value = html.escape(text)

    # Pictures.

    def _show_cached(self) -> None:
        """Shows the run that comes with the package for these settings, if there is one."""
        self._changed_quietly()
        self._shown = settings = self.settings
        cached = self.cached(dataclasses.replace(settings, speed=0))
        # If the user must predict, a finished run would give the answer away.
        if cached is None or self._prediction is not None:
            self._view, self._note = None, ""
            self._image.value = self._canvas.blank()
            self._say("Press Start, and watch the layers learn.")
            return
        self._note = f"{cached[0]} This run comes with the lab; press Start for your own."
        self._view = cached[1]
        self._redraw()

    def _redraw(self) -> None:
        view, beside = self._view, self._beside()
        if view is None:
            return
        highlight = self._controls["highlight"].value
        if beside is None or beside.view is view:
            self._image.value = self._canvas.draw([view], highlight, live=self._running)
            self._say(f"{self._note} {self.describe(view)}")
            return
        titles = (
            f"A, run {beside.number}: {in_words(beside.settings, self._shown)}",
            f"B: {in_words(self._shown, beside.settings)}",
        )
        self._image.value = self._canvas.draw(
            [beside.view, view], highlight, titles, live=self._running
        )
        self._say(f"A: {self.describe(beside.view)} B: {self.describe(view)}")

    def _say(self, text: str) -> None:
        self._said = text.strip()
        live = "off" if self._session.active else "polite"
        self._sentence.value = f"<p aria-live='{live}'>{html.escape(self._said)}</p>"


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
