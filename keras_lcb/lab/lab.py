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
from keras_lcb.lab.engine.place import place_of
from keras_lcb.lab.engine.session import Session, State
from keras_lcb.lab.look import Look
from keras_lcb.lab.screen.buttons import Buttons
from keras_lcb.lab.screen.exports import exported, kinds_for, link
from keras_lcb.lab.screen.gallery import Gallery
from keras_lcb.lab.screen.header import header
from keras_lcb.lab.screen.history import Entry, History
from keras_lcb.lab.screen.layout import Parts, laid_out
from keras_lcb.lab.screen.notebook_cells import remember
from keras_lcb.lab.screen.prediction import Prediction
from keras_lcb.lab.screen.progress import Progress
from keras_lcb.lab.screen.sharing import Sharing
from keras_lcb.lab.settings.declared import Declared
from keras_lcb.lab.settings.line import read_line
from keras_lcb.lab.settings.presets import preset_named
from keras_lcb.lab.settings.query import as_query
from keras_lcb.lab.settings.setting import as_changes
from keras_lcb.lab.showing import Showing, titles
from keras_lcb.lab.views.stacking import left_out, stacked


class Lab:
    """What all labs are. A lab declares itself, and `DepthLab` describes the arguments.

    Attributes:
        declared: All that makes this lab differ from another.
        known: All labs, by name.
        widget: The whole lab, an ipywidgets widget.
    """

    declared: ClassVar[Declaration]
    known: ClassVar[dict[str, type[Lab]]] = {}  # all labs, by the names in their declarations

    def __init_subclass__(cls) -> None:
        Lab.known[cls.declared.name] = cls

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
        settings = _with(known, {n: v for n, v in changes.items() if v is not None})
        self._look = Look.of(declared, show, pictures, predict, projector)
        self._place = place_of(declared)
        self._session = Session(
            make_driver(driver), self._place.training, self._live, self._on_state, self._on_end
        )
        self._session.settings = settings
        self._controls = panel.Controls(
            settings, declared.presets, preset if settings == known else ""
        )
        self._applying = False
        self._closed = False
        self._build(settings)
        self._show_untrained()
        self._place.when_ready(self._ready)
        remember(self)

    @property
    def settings(self) -> Any:
        """The current settings of the controls."""
        return self._controls.settings

    @property
    def run(self) -> xr.Dataset | None:
        """The newest run; its seeds that were trained to their end are stacked along `seed`.

        It is `None` before the first.
        """
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
        return as_query({**self._settings_to_share(), **self._look.chosen})

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

    def _settings_to_share(self) -> dict[str, Any]:
        """Returns the settings; during training, with the learning rates that were set."""
        settings = self.settings
        if self._session.active:
            settings = self._trained(settings.speed)
        values: dict[str, Any] = dataclasses.asdict(settings)
        return {name: value for name, value in values.items() if value != "" or name != "changes"}

    def _trained(self, speed: int) -> Declared:
        """Returns the settings of the training, with the learning rates that were set."""
        session = self._session
        changes = as_changes(session.schedule)
        return dataclasses.replace(session.settings, changes=changes, speed=speed)

    def write_address(self) -> None:
        """From now on, keeps the settings in the address of the page, which only this lab is on."""
        self._sharing.follow()
        self._sharing.show(self.config)

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
        self._show_untrained()

    def example(self) -> None:
        """Shows the finished run that comes with the lab for these settings, if there is one."""
        example = self._example()
        if example is not None and not self._session.active and not self._must_predict:
            self._showing.example(self.settings, *example)

    def export(self, kind: str) -> bytes:
        """Returns the newest run as the content of a file; for figures, beside the one compared.

        Args:
            kind: "png" or "svg" for its figures, "csv", "nc" (netCDF) or "gif" for its data.

        Raises:
            ValueError: If there is no such kind, or no run yet.
        """
        shown = self._exported_runs(self._history.entries[-1]) if self._history.entries else None
        return exported(kind, self.run, self.declared.further, shown=shown)

    def close(self) -> None:
        """Ends the training, waits for its threads, and removes the lab from the page."""
        self._closed = True
        self._session.close()
        self.widget.close()

    def _repr_mimebundle_(self, **kwargs: Any) -> dict[str, Any]:
        """Returns the widget for notebooks, and a picture for programs that show no widgets."""
        shown = self.widget._repr_mimebundle_(**kwargs) or {}
        # Encoded as text, since ipykernel would pass raw bytes on as a list of numbers.
        from keras_lcb.lab.screen.still import before_training, of_runs

        view = self._place.untrained(self.settings)
        still = before_training(view) if self.run is None else of_runs({"": self.run}, "png")
        picture = {"image/png": base64.b64encode(still).decode()} if still else {}
        return {**shown, **picture, "text/plain": f"{self!r}\n{self.sentence}"}

    def __repr__(self) -> str:
        return f'{type(self).__name__}.from_config("{self.config}")'

    # Building.

    def _build(self, settings: Declared) -> None:
        declared, look = self.declared, self._look
        panels = [declared.panels[name] for name in look.pictures]
        first = self._place.untrained(settings)
        self._gallery = Gallery(panels, "", first)
        self._showing = Showing(declared, self._place, self._gallery, settings)
        self._progress = Progress()
        self._buttons = Buttons(self)
        asked = declared.questions.get(look.predict)
        self._prediction = None if asked is None else Prediction(asked)
        kinds = kinds_for(first)
        self._history = History(self._restore, self._export_link, kinds)
        self._sharing = Sharing(f"lcb.lab.{type(self).__name__}.from_config")
        self._observe()
        self.widget = laid_out(self._parts(), look.projector)
        self._on_state()

    def _parts(self) -> Parts:
        controls = self._controls.by_name
        asked = [self._prediction.widget] if self._prediction is not None else []
        sections = {"history": self._history.widget, "share": self._sharing.widget}
        declared = self.declared
        return Parts(
            header=header(declared.title, declared.question, self._prediction is not None),
            first=[*asked, self._buttons.widget, self._progress.bar, self._progress.status],
            settings=[controls[name].widget for name in controls if name in self._look.show],
            pictures=self._gallery.widget,
            sentence=self._gallery.sentence,
            below=[section for name, section in sections.items() if name in self._look.show],
        )

    def _observe(self) -> None:
        controls, session = self._controls, self._session
        settings = controls.of_settings()
        for name, control in settings.items():
            # The speed makes no difference to what comes out.
            control.observe(self._changed_quietly if name == "speed" else self._changed)
        controls.preset.observe(self._apply_preset)
        rate, speed = settings["learning_rate"], settings["speed"]
        rate.observe(lambda: session.set_learning_rate(rate.value))
        speed.observe(lambda: session.set_speed(speed.value))
        controls.compare.observe(self._redraw)
        viewer, highlight = self._gallery.viewer, controls.highlight
        highlight.observe(lambda: setattr(viewer, "layer", highlight.value))
        viewer.observe(lambda change: highlight.choose(change["new"]), "layer")
        if self._prediction is not None:
            self._prediction.observe(self._on_state)

    # What the controls do.

    def _changed(self) -> None:
        """Handles a changed setting: leaves the preset, and asks for a new prediction."""
        self._changed_quietly()
        if self._applying or self._session.active:
            return
        self._controls.of_settings()["changes"].value = ""
        self._controls.preset.value = ""
        if self._prediction is not None and self._session.state is not State.READY:
            self._prediction.ask()
        self._answer()
        self._on_state()

    def _answer(self) -> None:
        """Draws what the new settings start from, or greys what was trained with other ones."""
        if self._showing.fits(self.settings):
            self._redraw()
        else:
            self._show_untrained()

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
        self._showing.past(entry, self._beside())

    def _export_link(self, entry: Entry, kind: str) -> str:
        shown = self._exported_runs(entry)
        content = exported(kind, entry.run, self.declared.further, shown=shown)
        return link(content, kind, f"run-{entry.number}")

    def _exported_runs(self, entry: Entry) -> dict[str, xr.Dataset]:
        """Returns the runs in an exported figure; the one to compare with is on the left."""
        beside = self._beside()
        if beside is None or beside is entry:
            return {entry.title: entry.run}
        left, right = titles(beside, entry.settings, letters=1000)  # a figure has lines enough
        return {left: beside.run, right: entry.run}

    # Called by the session, from its threads.

    def _live(self, view: Any) -> None:
        self._showing.live(view, self._session.settings, self._beside())
        if view.changes:
            self._sharing.show(self.config)
        self._say_progress()

    def _on_end(self, runs: list[xr.Dataset]) -> None:
        if not runs:
            return
        settings = self._trained(self._session.speed)
        run = stacked(runs)
        view = self.declared.view_of(run, settings.planned)
        predicted = self._prediction.compare(view) if self._prediction is not None else ""
        ended = self._session.state.value.split(":")[0]
        entry = self._history.add(settings, run, view, ended, predicted, left_out(runs))
        self._controls.offer_runs([(kept.name, kept.number) for kept in self._history.entries])
        self._apply(settings)  # with the learning rate at first, and those set on the way
        self._showing.past(entry, self._beside(), "with distances to its final weights.")

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
                "Example": not active and not self._must_predict and self._example() is not None,
            }
        )
        self._controls.lock(active)
        if self._prediction is not None:
            self._prediction.lock(active)
        self._say_progress()

    def _say_progress(self) -> None:
        opening = self.declared.opening(self._session.settings)
        if not self._place.ready:
            opening = "waiting until Keras is loaded"
        self._progress.show(self._session, opening, self._must_predict)

    # Pictures.

    def _ready(self) -> None:
        """Completes the first picture, now that networks can be made."""

        def complete() -> None:
            if self._closed:
                return
            if self._showing.at_start and not self._session.active:
                self._show_untrained()
            self._on_state()

        self._session.in_turn(complete)

    def _example(self) -> tuple[str, Any] | None:
        return self.declared.cached(dataclasses.replace(self.settings, speed=0))

    def _show_untrained(self) -> None:
        """Shows what the settings start from: the target, and the network before training."""
        self._changed_quietly()
        first = "Predict, then press Start" if self._must_predict else "Press Start"
        preset = self.declared.presets.get(self._controls.preset.value)
        # What a preset shows would give the answer away.
        told = "" if preset is None or self._prediction is not None else preset.shows
        said = f"{told} {first}, and watch the layers learn."
        self._showing.untrained(self.settings, said)

    def _redraw(self) -> None:
        """Shows the past run again, beside the one to compare it with, and grey if it is stale."""
        if self._showing.entry is not None and not self._session.active:
            self._showing.past(self._showing.entry, self._beside())
            self._showing.grey_if_stale(self.settings)


def _with(settings: Declared, changes: Mapping[str, Any]) -> Any:
    unknown = [name for name in changes if name not in settings.declared()]
    if unknown:
        known = ", ".join(settings.declared())
        raise TypeError(f"The settings of this lab are {known}; received '{unknown[0]}'.")
    return dataclasses.replace(settings, **changes)
