"""A lab's trainings, one after another, off the main thread: start, pause, step, stop, reset."""

from __future__ import annotations

import atexit
import enum
import functools
import threading
import time
import weakref
from collections.abc import Callable, Iterator

import xarray as xr

from keras_lcb.lab.drivers import Driver, Job
from keras_lcb.lab.settings import Settings
from keras_lcb.lab.training import Training
from keras_lcb.lab.view import View, view_of

_PICTURE_EVERY = 0.1  # seconds
_IDLE = 60.0


class State(enum.Enum):
    """What a session is doing."""

    IDLE = "ready"
    RUNNING = "training"
    PAUSED = "paused"
    DONE = "done"
    STOPPED = "stopped"
    DIVERGED = "the loss has become infinite"
    FAILED = "failed"


# Sessions with a job, so that none is left to the end of the interpreter, which ends a thread
# inside TensorFlow with a crash.
_busy: weakref.WeakSet[Session] = weakref.WeakSet()


class Session:
    """Runs the trainings of a lab and hands out what can be seen of them.

    Args:
        driver: What runs the jobs.
        on_view: Called about ten times a second, while there is something new to see.
        on_state: Called after each change of `state`.

    Attributes:
        state: What the session is doing.
        runs: The finished trainings, one a seed.
        error: What went wrong, where `state` is `FAILED`.
    """

    def __init__(
        self,
        driver: Driver,
        on_view: Callable[[View], None],
        on_state: Callable[[State], None],
    ) -> None:
        self._driver = driver
        self._on_view = on_view
        self._on_state = on_state
        self._lock = threading.Lock()
        self._training: Training | None = None
        self._drawn = 0
        self._began = self._trained = 0.0
        self._generation = 0  # a job of an earlier one ends
        self._steps_left: int | None = None  # records to take before a pause
        self.state = State.IDLE
        self.settings = Settings()
        self.learning_rate = self.settings.learning_rate
        self.speed = 0
        self.runs: list[xr.Dataset] = []
        self.error = ""

    @property
    def active(self) -> bool:
        """Whether a training is under way, paused or not."""
        return self.state in (State.RUNNING, State.PAUSED)

    @property
    def step(self) -> int:
        """Updates of the present training."""
        return self._training.step if self._training is not None else 0

    @property
    def seconds_left(self) -> float | None:
        """How long the training will still take, or `None` while that is unknown."""
        training = self._training
        if training is None or training.records < 2 or not self._trained:
            return None
        left = (training.config.updates - training.step) / training.config.record_every
        left += (self.settings.seeds - 1 - len(self.runs)) * (
            training.config.updates / training.config.record_every
        )
        seconds = left * self._trained / training.records
        return max(seconds, left * self._pause_of(training))

    def start(self, settings: Settings, *, records: int | None = None) -> None:
        """Begin a training, or go on with one that is paused.

        Args:
            settings: What to train; a paused training goes on with its own.
            records: Pause after so many records.
        """
        with self._lock:
            self._steps_left = records
            resumed = self.state is State.PAUSED
            if self.state is State.RUNNING:
                return
            if not resumed:
                self._generation += 1
                self.settings = settings
                self.learning_rate, self.speed = settings.learning_rate, settings.speed
                self.runs, self.error = [], ""
                self._training, self._drawn, self._trained = None, 0, 0.0
                _busy.add(self)
        self._enter(State.RUNNING)
        if resumed:
            self._driver.wake()
        else:
            self._driver.start(self._train(self._generation))
            self._driver.start(self._draw(self._generation))

    def pause(self) -> None:
        """Pause the training after the record it is at."""
        if self.state is State.RUNNING:
            self._enter(State.PAUSED)
            self._driver.wake()

    def stop(self) -> None:
        """End the training after the record it is at; what was recorded stays."""
        if self.active:
            self._enter(State.STOPPED)
            self._driver.wake()

    def close(self, timeout: float = 2.0) -> bool:
        """End all jobs and wait for them; return whether they have ended."""
        self._generation += 1
        self.stop()
        self._driver.wake()
        return self._driver.join(timeout)

    def set_learning_rate(self, rate: float) -> None:
        """Change the rate of the training under way."""
        self.learning_rate = rate
        if self._training is not None:
            self._training.learning_rate = rate

    def set_speed(self, speed: int) -> None:
        """Change how many updates a second are made at most; 0 for no limit."""
        self.speed = speed
        self._driver.wake()

    def view(self) -> View | None:
        """Return what can be seen now; `None` if there is nothing yet."""
        training = self._training
        return training.view() if training is not None and training.begun else None

    # Jobs.

    def _train(self, generation: int) -> Job:
        def ours() -> bool:
            return generation == self._generation and self.active

        try:
            for seed in range(self.settings.seed, self.settings.seed + self.settings.seeds):
                if not ours():
                    break
                yield from self._train_one(Training(self.settings.config(seed)), ours)
        except Exception as error:  # a thread's error would reach nobody
            self.error = f"{type(error).__name__}: {error}"
            if generation == self._generation:
                self._enter(State.FAILED)
            return
        if generation != self._generation:
            return
        if self.state is State.RUNNING:
            diverged = self._training is not None and self._training.diverged
            self._enter(State.DIVERGED if diverged else State.DONE)
        elif self.state is State.STOPPED:
            self._on_state(self.state)  # now with what was recorded

    def _train_one(self, training: Training, ours: Callable[[], bool]) -> Iterator[float]:
        training.learning_rate = self.learning_rate
        self._training, self._drawn, self._trained = training, 0, 0.0
        while ours() and not training.done:
            if self.state is State.PAUSED:
                yield _IDLE
                continue
            began, before = time.perf_counter(), training.records
            training.advance(functools.partial(self._enough, ours, began))
            took = time.perf_counter() - began
            self._trained += took
            if self._steps_left is not None and self.state is State.RUNNING:
                self._steps_left -= training.records - before
                if self._steps_left <= 0:
                    self._steps_left = None
                    self._enter(State.PAUSED)
            yield max(0.0, self._pause_of(training) - took)
        if training.begun:
            self.runs.append(training.run())

    def _enough(self, ours: Callable[[], bool], began: float) -> bool:
        """Whether `fit` is to come back after this record."""
        piece = self._driver.piece
        return (
            not ours()
            or self.state is not State.RUNNING
            or self.speed > 0
            or self._steps_left is not None
            or (piece is not None and time.perf_counter() - began > piece)
        )

    def _pause_of(self, training: Training) -> float:
        return training.config.record_every / self.speed if self.speed else 0.0

    def _draw(self, generation: int) -> Job:
        while generation == self._generation and self.active:
            began = time.perf_counter()
            training = self._training
            if training is not None and training.begun and training.records != self._drawn:
                self._drawn = training.records
                self._on_view(training.view())
            yield max(0.0, _PICTURE_EVERY - (time.perf_counter() - began))

    def _enter(self, state: State) -> None:
        self.state = state
        self._on_state(state)


def finished_view(session: Session) -> View | None:
    """Return the view of a session's finished runs: one, or several seeds as a band."""
    runs = session.runs
    if not runs:
        return None
    if len(runs) == 1:
        return view_of(runs[0], session.settings.config().updates)
    length = min(run.sizes["step"] for run in runs)
    seeds = [run.attrs["seed"] for run in runs]
    stacked = xr.concat(
        [run.isel(step=slice(length)) for run in runs],
        xr.IndexVariable("seed", seeds),
        coords="minimal",
        compat="override",
        join="override",
        combine_attrs="override",
    )
    return view_of(stacked, session.settings.config().updates)


@atexit.register
def _end_all() -> None:
    for session in list(_busy):
        session.close()
