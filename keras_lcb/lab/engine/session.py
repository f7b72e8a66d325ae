"""Runs a lab's trainings in the background: start, pause, step, stop, reset."""

from __future__ import annotations

import atexit
import dataclasses
import enum
import functools
import threading
import time
import weakref
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import xarray as xr

from keras_lcb.lab.engine.drivers import Driver, Job
from keras_lcb.lab.engine.pace import Pace
from keras_lcb.lab.settings import Settings
from keras_lcb.lab.settings.declared import Declared
from keras_lcb.lab.settings.setting import as_changes

if TYPE_CHECKING:
    from keras_lcb.lab.engine.layers_training import LayersTraining
    from keras_lcb.lab.engine.remote import RemoteTraining

    Training = LayersTraining | RemoteTraining

PICTURE_EVERY = 0.05  # seconds between two pictures
_IDLE = 60.0  # seconds between two looks at a paused training, unless it is woken
_FIRST_PICTURE = 2.0  # the most seconds to wait for the first picture, which takes much less


class State(enum.Enum):
    """What a session is doing, in the words of the lab."""

    READY = "ready"
    RUNNING = "training"
    PAUSED = "paused"
    DONE = "done"
    STOPPED = "stopped"
    DIVERGED = "ended: the loss has become infinite"
    FAILED = "failed"


class Session:
    """Runs the trainings of a lab, and passes their views on.

    The functions `on_…` are called from the driver's threads and from the caller's thread, but
    never two at the same time.

    Args:
        driver: Runs the jobs.
        make_training: A function of settings and a seed that makes a training.
        on_view: Called with a view about twenty times a second, if there is something new.
        on_state: Called after each change of `state`, and when the next seed begins.
        on_end: Called with a list of runs, one for each seed, when the training has ended in any
            way.

    Attributes:
        state: What the session is doing.
        settings: The settings of the current or last training. When a seed has ended, they hold the
            learning rates that were set on the way, which the next one takes over.
        error: The error message, if `state` is `FAILED`.
    """

    def __init__(
        self,
        driver: Driver,
        make_training: Callable[[Any, int], Training],
        on_view: Callable[[Any], None],
        on_state: Callable[[], None],
        on_end: Callable[[list[xr.Dataset]], None],
    ) -> None:
        self._driver = driver
        self._make_training = make_training
        self._on_view = on_view
        self._on_state = on_state
        self._on_end = on_end
        # Only one thread at a time may change the state, or draw.
        self._turn = threading.RLock()
        self._seen = threading.Event()  # set once training need not wait for the first picture
        self._generation = 0  # number of the current start; jobs of earlier ones end
        self._training: Training | None = None
        self._ending = False  # whether a training was started whose end is not told yet
        self._next: tuple[Declared, int | None] | None = None  # to start when it is
        self._seeds_done = 0  # trainings that ended before the current one
        self._drawn = 0
        self._pace = Pace()
        self._records_left: int | None = None  # how many records to take before a pause
        self.state = State.READY
        self.settings: Declared = Settings()
        self.learning_rate = self.settings.learning_rate
        self.speed = self.settings.speed
        self.error = ""
        _sessions.add(self)

    @property
    def active(self) -> bool:
        """Whether a training is running or paused."""
        return self.state in (State.RUNNING, State.PAUSED)

    @property
    def opening(self) -> bool:
        """Whether the running training has no picture yet."""
        return self.state is State.RUNNING and not self._drawn

    @property
    def progress(self) -> tuple[int, int]:
        """The updates made so far, and all updates to make, over all seeds."""
        updates = self.settings.planned
        now = self._training.step if self._training is not None else 0
        return updates * self._seeds_done + now, updates * self.settings.seeds

    @property
    def seconds_left(self) -> float | None:
        """How many seconds training will still take; `None` if unknown."""
        training = self._training
        if training is None or training.records < 2:
            return None
        a_record = self._pace.seconds_a_record
        if a_record is None:
            return None
        done, all_of_them = self.progress
        return (all_of_them - done) / training.config.record_every * a_record

    @property
    def changes(self) -> list[tuple[int, float]]:
        """Pairs of an update and the learning rate that was set there, on the way."""
        training = self._training
        if training is None:
            return []
        changes = list(training.changes)
        rate, now = training.learning_rate, training.config.learning_rate
        if changes:
            now = changes[-1][1]
        pending = [(training.step, rate)] if self.active and rate != now else []
        return [*changes, *pending]

    @property
    def schedule(self) -> list[tuple[int, float]]:
        """The changes of the learning rate that were made, and those that are planned."""
        training = self._training
        if training is None:
            return self.settings.planned_rates
        return [*self.changes, *training.planned]

    def start(self, settings: Declared, *, records: int | None = None) -> None:
        """Starts a training, or continues one that is paused.

        After `stop`, a new training begins once the records of the stopped one are passed on.

        Args:
            settings: The settings to train. A paused training continues with its own settings.
            records: Pause after so many records. Defaults to `None`: do not pause.
        """
        with self._turn:
            if self.state is State.RUNNING:
                return
            if self._ending and not self.active:
                self._next = settings, records
                return
            self._records_left = records
            if self.state is State.PAUSED:
                self._enter(State.RUNNING)
                self._driver.wake()
                return
            self._generation += 1
            self.settings = settings
            self.learning_rate, self.speed = settings.learning_rate, settings.speed
            self._training, self._seeds_done, self._drawn, self.error = None, 0, 0, ""
            self._seen.clear()
            self._ending = True
            self._enter(State.RUNNING)
        self._driver.start(self._train(self._generation))
        self._driver.start(self._draw(self._generation))

    def pause(self) -> None:
        """Pauses the training after the current record."""
        with self._turn:
            if self.state is State.RUNNING:
                self._enter(State.PAUSED)

    def stop(self) -> None:
        """Ends the training after the current record, and keeps its records."""
        with self._turn:
            self._next = None
            if self.active:
                self._enter(State.STOPPED)
        self._driver.wake()

    def reset(self) -> None:
        """Ends the training and discards its records."""
        with self._turn:
            self._generation += 1
            self._training, self._ending, self._next = None, False, None
            self._enter(State.READY)
        self._driver.wake()

    def close(self, timeout: float = 5.0) -> bool:
        """Ends all jobs, waits for them, and returns whether they have ended.

        Args:
            timeout: The longest wait in seconds. Defaults to 5.
        """
        self.reset()
        return self._driver.join(timeout)

    def set_learning_rate(self, rate: float) -> None:
        """Changes the learning rate of the current training."""
        self.learning_rate = rate
        if self._training is not None:
            self._training.learning_rate = rate

    def set_speed(self, speed: int) -> None:
        """Changes the largest number of updates a second; 0 for no limit."""
        self.speed = speed
        self._pace.restart()
        self._driver.wake()

    def in_turn(self, function: Callable[[], None]) -> None:
        """Calls a function while no other thread draws or changes the state."""
        with self._turn:
            function()

    # Jobs.

    def _ours(self, generation: int) -> bool:
        return generation == self._generation and self.active

    def _train(self, generation: int) -> Job:
        runs: list[xr.Dataset] = []
        end = State.DONE
        try:
            for seed in range(self.settings.seed, self.settings.seed + self.settings.seeds):
                training = self._make_training(self.settings, seed)
                with self._turn:
                    if not self._ours(generation):
                        break
                    if not runs and self.learning_rate != self.settings.learning_rate:
                        training.learning_rate = self.learning_rate  # set since the start
                    self._training, self._seeds_done = training, len(runs)
                    self._drawn = 0
                    self._pace.restart()
                    if runs:
                        self._on_state()
                yield from self._train_one(training, generation)
                if training.records and generation == self._generation:
                    runs.append(training.run())
                if training.diverged:
                    end = State.DIVERGED
                self._plan(training, generation)
        except Exception as error:  # raised in a thread, it would not reach the user
            self.error = f"{type(error).__name__}: {error}"
            end = State.FAILED
        with self._turn:
            if generation == self._generation:
                if self.active:
                    self._enter(end)
                self._ending = False
                self._on_end(runs)
                if self._next is not None:
                    (settings, records), self._next = self._next, None
                    self.start(settings, records=records)

    def _plan(self, training: Training, generation: int) -> None:
        """Makes the next seed change its learning rate where this one did."""
        changes = as_changes([*training.changes, *training.planned])
        with self._turn:
            if generation == self._generation:
                self.settings = dataclasses.replace(self.settings, changes=changes)

    def _train_one(self, training: Training, generation: int) -> Iterator[float]:
        self._count(training.records)  # of a training that was prepared
        while self._ours(generation) and not training.done:
            if self.state is State.PAUSED:
                yield _IDLE
                continue
            began, before = time.perf_counter(), training.records
            training.advance(functools.partial(self._enough, generation, began))
            took = time.perf_counter() - began
            made = training.records - before
            self._count(made)
            yield max(0.0, made * self._pause(training) - took)

    def _count(self, records: int) -> None:
        """Counts records down, and pauses after the last one of `start(records=…)`."""
        with self._turn:
            if self._records_left is not None and self.state is State.RUNNING:
                self._records_left -= records
                if self._records_left <= 0:
                    self._records_left = None
                    self._enter(State.PAUSED)

    def _enough(self, generation: int, began: float) -> bool:
        """Returns whether `fit` should return after this record."""
        if self._training is not None:
            self._pace.note(self._training.records)
        piece = self._driver.piece
        if piece is None and not self._seen.is_set():
            self._let_see()
        return (
            not self._ours(generation)
            or self.state is State.PAUSED
            or self.speed > 0
            or self._records_left is not None
            or (piece is not None and time.perf_counter() - began > piece)
        )

    def _let_see(self) -> None:
        """Waits for the first picture, which takes longest to draw, so that it appears soon."""
        if self._training is not None and self._training.news:
            self._driver.wake()
            self._seen.wait(_FIRST_PICTURE)
            self._seen.set()

    def _pause(self, training: Training) -> float:
        return training.config.record_every / self.speed if self.speed else 0.0

    def _draw(self, generation: int) -> Job:
        while self._ours(generation):
            began = time.perf_counter()
            training = self._training
            if training is not None and training.news not in (0, self._drawn):
                self._drawn = training.news
                view = training.view()
                with self._turn:
                    if self._ours(generation):
                        self._on_view(view)
                        self._seen.set()
            yield max(0.0, PICTURE_EVERY - (time.perf_counter() - began))

    def _enter(self, state: State) -> None:
        self.state = state
        self._pace.restart()
        if state is not State.RUNNING:
            self._seen.set()
        self._on_state()


_sessions: weakref.WeakSet[Session] = weakref.WeakSet()


@atexit.register
def _end_all() -> None:
    """Ends all trainings, since Python crashes if it exits while a thread runs TensorFlow."""
    for session in list(_sessions):
        if session.active:
            session.close()
