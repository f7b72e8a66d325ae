"""The lab in which depth and learning rate are varied and the layers are watched as they learn."""

from __future__ import annotations

import dataclasses
import html
from collections.abc import Sequence
from typing import Any

import ipywidgets as widgets

from keras_lcb.lab.controls import CONTROLS, Choice, make_controls, offer_layers
from keras_lcb.lab.drivers import DriverName, make_driver
from keras_lcb.lab.pictures import DESK, PICTURES, PROJECTOR, Pictures
from keras_lcb.lab.presets import PRESETS
from keras_lcb.lab.presets import preset as preset_named
from keras_lcb.lab.sentence import describe
from keras_lcb.lab.session import Session, State, finished_view
from keras_lcb.lab.settings import Settings, as_query, from_query
from keras_lcb.lab.view import View

_LIVE = ("learning_rate", "speed", "highlight")  # can be changed while training runs


class DepthLab:
    """A lab for a notebook: networks on a function of one variable, with live pictures.

    The last line of a cell shows it. Training runs beside the notebook, through `model.fit` with
    the package's callbacks; a cell that is run again ends what its lab was doing.

    Args:
        preset: Name of the settings to start from, one of `lab.PRESETS`; the other arguments
            change single ones. Defaults to "bias".
        depth: Hidden layers, 1 to 12.
        width: Units a layer.
        residual: Whether layers add to the layers before them.
        activation: "relu", "tanh" or "sigmoid".
        optimizer: "sgd", "momentum" or "adam".
        learning_rate: Of the optimiser.
        target: "four sines", "square", "sawtooth", "step", "chirp", or a formula of x such as
            `"sin(x) + 0.3*sin(3*x)"`.
        updates: How many updates a training takes.
        seed: Of the initial weights and of the order of the points.
        seeds: How many seeds in a row make one result, shown as a band.
        speed: Most updates a second, 0 for as fast as it goes.
        show: Names of the controls to show, out of `lab.CONTROLS`; all by default.
        pictures: Which of "distance", "gradient", "function" and "frequency" to show.
        predict: Whether Start waits for a prediction of what will happen.
        projector: Large text and thick lines, for a room.
        driver: "thread", "asyncio", or "auto", which takes threads but on Colab.

    Attributes:
        widget: The whole as one ipywidgets widget.
        settings: What the controls say, a `lab.Settings`.
        run: The newest finished run, an `xarray.Dataset`, or `None`.

    Raises:
        ValueError: If a setting is out of its range, or a name is unknown.

    Example:
        >>> lab = DepthLab(depth=3, learning_rate=0.05)  # doctest: +SKIP
        >>> lab  # doctest: +SKIP
    """

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
        show: Sequence[str] = CONTROLS,
        pictures: Sequence[str] = PICTURES,
        predict: bool = False,
        projector: bool = False,
        driver: DriverName = "auto",
    ) -> None:
        given = {
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
        changes: dict[str, Any] = {name: v for name, v in given.items() if v is not None}
        settings = dataclasses.replace(preset_named(preset).settings, **changes)
        unknown = [name for name in show if name not in CONTROLS]
        if unknown:
            raise ValueError(f"`show` has no control '{unknown[0]}'; it has {', '.join(CONTROLS)}.")
        self.show, self.predict, self.projector = tuple(show), predict, projector
        self._pictures = Pictures(pictures, PROJECTOR if projector else DESK)
        self._session = Session(make_driver(driver), self._on_view, self._on_state)
        names = [(known.title, name) for name, known in PRESETS.items()]
        self._controls = make_controls(settings, names, "" if changes else preset)
        self._view: View | None = None
        self._build()

    @property
    def settings(self) -> Settings:
        """What the controls say."""
        values = {
            field.name: self._controls[field.name].value for field in dataclasses.fields(Settings)
        }
        return Settings(**values)

    @property
    def run(self) -> Any:
        """The newest finished run, or `None`."""
        return self._session.runs[-1] if self._session.runs else None

    @property
    def config(self) -> str:
        """One line that rebuilds this lab with `from_config`, and the query of its address."""
        look = {
            "show": self.show,
            "pictures": self._pictures.names,
            "predict": self.predict,
            "projector": self.projector,
        }
        return f"{self.settings.to_text()}&{as_query(look)}"

    @classmethod
    def from_config(cls, text: str) -> DepthLab:
        """Return the lab that this line describes; what it leaves out has its default.

        Args:
            text: What "copy settings" gave, such as `depth=3&learning_rate=0.1`, or the query of
                an address.

        Raises:
            ValueError: If it names what a lab does not have.
        """
        given: dict[str, Any] = dict(from_query(text))
        look: dict[str, Any] = {}
        for name in ("show", "pictures"):
            if name in given:
                look[name] = tuple(part for part in given.pop(name).split(",") if part)
        for name in ("predict", "projector"):
            if name in given:
                look[name] = given.pop(name).lower() == "true"
        chosen = given.pop("preset", "bias")
        base = preset_named(chosen).settings
        settings = (
            Settings.from_text(f"{base.to_text()}")
            if not given
            else Settings(**{**dataclasses.asdict(base), **given})
        )
        changed = {
            field.name: getattr(settings, field.name)
            for field in dataclasses.fields(Settings)
            if getattr(settings, field.name) != getattr(base, field.name)
        }
        return cls(chosen, **changed, **look)

    def start(self) -> None:
        """Begin to train, or go on."""
        self._session.start(self.settings)

    def pause(self) -> None:
        """Pause after the next record."""
        self._session.pause()

    def step(self) -> None:
        """Train up to the next record."""
        self._session.start(self.settings, records=1)

    def stop(self) -> None:
        """End the training; what was recorded stays."""
        self._session.stop()

    def reset(self) -> None:
        """End the training and forget it."""
        self._session.close()

    def close(self) -> None:
        """End everything, and take the lab off the page."""
        self._session.close()
        self.widget.close()

    def _repr_mimebundle_(self, **kwargs: Any) -> dict[str, Any]:
        shown = self.widget._repr_mimebundle_(**kwargs) or {}
        return {**shown, "image/png": self._image.value}

    # Building.

    def _build(self) -> None:
        self._image = widgets.Image(format="png", layout={"max_width": "100%"})
        self._sentence = widgets.HTML()
        self._status = widgets.HTML()
        self._buttons = {
            name: widgets.Button(description=name, tooltip=about, layout={"width": "auto"})
            for name, about in (
                ("Start", "Begin to train, or go on"),
                ("Pause", "Pause the training"),
                ("Step", "Train up to the next record"),
                ("Stop", "End the training"),
                ("Reset", "Forget this training"),
            )
        }
        for button in self._buttons.values():
            button.on_click(lambda clicked: getattr(self, clicked.description.lower())())
        shown = [self._controls[name].widget for name in CONTROLS if name in self.show]
        left = widgets.VBox(
            [*shown, widgets.HBox(list(self._buttons.values())), self._status],
            layout={"width": "300px", "flex": "0 0 300px"},
        )
        right = widgets.VBox([self._image, self._sentence], layout={"flex": "1 1 320px"})
        self.widget = widgets.HBox([left, right], layout={"flex_flow": "row wrap"})
        self._controls["learning_rate"].observe(
            lambda: self._session.set_learning_rate(self._controls["learning_rate"].value)
        )
        self._controls["speed"].observe(
            lambda: self._session.set_speed(self._controls["speed"].value)
        )
        self._controls["highlight"].observe(self._redraw)
        depth, highlight = self._controls["depth"], self._controls["highlight"]
        assert isinstance(highlight, Choice)
        depth.observe(lambda: offer_layers(highlight, int(depth.value)))
        self._on_state(State.IDLE)

    # What the session says.

    def _on_view(self, view: View) -> None:
        self._view = view
        self._redraw()

    def _redraw(self) -> None:
        view = self._view
        if view is not None:
            self._image.value = self._pictures.draw([view], self._controls["highlight"].value)
            self._sentence.value = html.escape(describe(view))

    def _on_state(self, state: State) -> None:
        active = state in (State.RUNNING, State.PAUSED)
        running = state is State.RUNNING
        for name, enabled in (
            ("Start", not running),
            ("Pause", running),
            ("Step", not running),
            ("Stop", active),
            ("Reset", True),
        ):
            self._buttons[name].disabled = not enabled
        for name, control in self._controls.items():
            control.disable(active and name not in _LIVE)
        self._status.value = html.escape(
            f"{state.value}: {self._session.error}" if self._session.error else state.value
        )
        if state in (State.DONE, State.STOPPED, State.DIVERGED):
            view = finished_view(self._session)
            if view is not None:
                self._on_view(view)
