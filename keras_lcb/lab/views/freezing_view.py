"""`FreezingView`: a training in which layers freeze: which did, what it took, and what it cost."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import xarray as xr

from keras_lcb.lab.views.layers import LayersView, layers_view_of
from keras_lcb.lab.views.questions import Question
from keras_lcb.viewer.events import Event, events, frozen_event

_FEW = 8  # records whose median is the time of an update at the end


@dataclass(frozen=True, eq=False, kw_only=True)
class FreezingView(LayersView):
    """One state of a training in which layers freeze.

    Attributes:
        frozen: Which layers froze together, as pairs of an update and their names; in the first of
            several seeds.
        update_time: The mean seconds of an update before each record (steps); NaN at the start.
        accuracy: The part of the test images that is read rightly; NaN during training.
    """

    frozen: tuple[tuple[int, tuple[str, ...]], ...]
    update_time: np.ndarray
    accuracy: float

    @property
    def seconds(self) -> float:
        """How long the updates took so far, with all that was compiled on the way."""
        return float(np.nansum(self.update_time[1:] * np.diff(self.steps)))

    @property
    def speeds(self) -> tuple[float, float]:
        """The median seconds of an update: before any layer froze, and of the newest records."""
        first = self.frozen[0][0] if self.frozen else self.step
        # The first record has the time of compiling in it.
        free = self.update_time[2:][self.steps[2:] <= first]
        newest = self.update_time[2:][-_FEW:]
        known = len(free) and np.isfinite(newest).any()
        return (float(np.nanmedian(free)), float(np.nanmedian(newest))) if known else (np.nan,) * 2

    def events(self) -> list[Event]:
        """Returns what happened: other learning rates, and which layers froze."""
        froze = [frozen_event(update, names) for update, names in self.frozen]
        return sorted([*super().events(), *froze], key=lambda event: event.update)

    def outcome(self) -> dict[str, str]:
        """Returns what came out, in numbers."""
        count = sum(len(names) for _, names in self.frozen)
        return {
            "frozen": f"{count} of {len(self.layers)} layers",
            "training time": f"{self.seconds:.1f} s",
            "test accuracy": f"{self.accuracy:.1%}",
            "loss": f"{self.loss[-1]:.4g}",
        }


def of_layers(
    view: LayersView,
    frozen: Iterable[tuple[int, tuple[str, ...]]],
    update_time: np.ndarray,
    accuracy: float = np.nan,
) -> FreezingView:
    """Returns the view of layers that freeze."""
    fields = {field.name: getattr(view, field.name) for field in dataclasses.fields(view)}
    return FreezingView(**fields, frozen=tuple(frozen), update_time=update_time, accuracy=accuracy)


def freezing_view_of(run: xr.Dataset, updates: int | None = None) -> FreezingView:
    """Returns the view of a finished run; for runs stacked over seeds, with means.

    Args:
        run: A run with the time of its updates, and its accuracy.
        updates: The planned number of updates. Defaults to `None`: the number in the run.
    """
    froze = [(each.update, each.layers) for each in events(run) if each.kind == "frozen"]
    means = run[["update_time", "test_accuracy"]]
    if "seed" in run.dims:
        means = means.mean("seed")
    times, accuracy = means["update_time"].values, means["test_accuracy"].item()
    return of_layers(layers_view_of(run, updates), froze, times, accuracy)


def describe_freezing(view: FreezingView) -> str:
    """Returns which layers froze, how long training took, and what came out."""
    # `events` tells of the first of several seeds.
    whose = f"In the first of {view.seeds} seeds: " if view.seeds > 1 else ""
    said = [whose + _froze(view), _faster(view)]
    if np.isfinite(view.accuracy):
        said.append(
            f"Training took {view.seconds:.1f} s, and the network reads {view.accuracy:.1%} of the "
            "test digits."
        )
    return " ".join(sentence for sentence in said if sentence)


def _froze(view: FreezingView) -> str:
    if not view.frozen:
        return "No layer is frozen."
    (first, names), (last, latest) = view.frozen[0], view.frozen[-1]
    if first == last:
        others = f" and {len(names) - 1} more" if len(names) > 1 else ""
        return f"{names[0]}{others} froze at update {first:,}."
    return f"{names[0]} froze first, at update {first:,}; {latest[-1]} last, at {last:,}."


def _faster(view: FreezingView) -> str:
    free, newest = view.speeds
    if not view.frozen or not np.isfinite(free):
        return ""
    return f"An update took {1000 * free:.1f} ms at first, and takes {1000 * newest:.1f} ms now."


_ANSWERS = ("not at all", "up to 1.5 times", "up to 3 times", "more than 3 times")
_NOTICEABLE, *_STEPS = 1.15, 1.5, 3.0  # less than the first is what other programs cause


def how_much_faster(view: FreezingView) -> tuple[str, str]:
    """Returns how much faster updates are at the end than before any layer froze, and why."""
    free, newest = view.speeds
    if not np.isfinite(free):
        return "too short to tell", "Too few updates to tell."
    times = free / newest
    place = sum(times >= limit for limit in (_NOTICEABLE, *_STEPS)) if view.frozen else 0
    return _ANSWERS[place], f"{1000 * free:.1f} ms an update at first, {1000 * newest:.1f} at last."


FREEZING_QUESTIONS: dict[str, Question] = {
    "speed": Question("How much faster do updates get?", _ANSWERS, how_much_faster)
}
