"""A lab's trainings, one after another, off the main thread: start, pause, step, stop, reset."""

from __future__ import annotations

import atexit
import enum
import functools
import threading
import time
import weakref
from collections.abc import Callable, Iterator
from typing import Any

import xarray as xr

from keras_lcb.lab.drivers import Driver, Job
from keras_lcb.lab.settings import Settings
from keras_lcb.lab.training import Training

PICTURE_EVERY = 0.1  # seconds
_IDLE = 60.0
_FIRST_PICTURE = 2.0  # seconds; drawing takes a small part of it


class State(enum.Enum):
    """What a session is doing, as a lab says it."""

    READY = "ready"
    RUNNING = "training"
    PAUSED = "paused"
    DONE = "done"
    STOPPED = "stopped"
    DIVERGED = "ended: the loss has become infinite"
    FAILED = "failed"


class Session:
    """Runs the trainings of a lab and hands out what can be seen of them.

    The callbacks are called from the driver's threads as well as from the caller's, never two at
    once: what they draw last is what holds.

    Args:
        driver: What runs the jobs.
        make_training: Makes the training of these settings with this seed.
        on_view: Called with a view about ten times a second, while there is something new.
        on_state: Called after each change of `state`, and when the turn of the next seed comes.
        on_end: Called with the runs, one a seed, when a training has ended, however it did.

    Attributes:
        state: What the session is doing.
        settings: What it trains, or trained last.
        error: What went wrong, where `state` is `FAILED`.
    """

    def __init__(
        self,
        driver: Driver,
        make_training: Callable[[Settings, int], Training],
        on_view: Callable[[Any], None],
        on_state: Callable[[], None],
        on_end: Callable[[list[xr.Dataset]], None],
    ) -> None:
        self._driver = driver
        self._make_training = make_training
        self._on_view = on_view
        self._on_state = on_state
        self._on_end = on_end
        # One thread at a time changes the state or draws what belongs to it.
        self._turn = threading.RLock()
        self._seen = threading.Event()  # the first picture, or there is none to wait for
        self._generation = 0  # jobs of an earlier one end
        self._training: Training | None = None
        self._runs: list[xr.Dataset] = []
        self._drawn = 0
        self._busy = 0.0  # seconds that the records of this training took
        self._records_left: int | None = None  # before a pause
        self.state = State.READY
        self.settings = Settings()
        self.learning_rate = self.settings.learning_rate
        self.speed = self.settings.speed
        self.error = ""
        _sessions.add(self)

    @property
    def active(self) -> bool:
        """Whether a training is under way, paused or not."""
        return self.state in (State.RUNNING, State.PAUSED)

    @property
    def opening(self) -> bool:
        """Whether the training under way has shown nothing yet."""
        return self.state is State.RUNNING and not self._drawn

    @property
    def progress(self) -> tuple[int, int]:
        """Updates made and to make, over all seeds."""
        updates = self.settings.config().updates
        now = self._training.step if self._training is not None else 0
        return updates * len(self._runs) + now, updates * self.settings.seeds

    @property
    def seconds_left(self) -> float | None:
        """How long training will still take, or `None` while that is unknown."""
        training = self._training
        if training is None or training.records < 2:
            return None
        done, all_of_them = self.progress
        a_record = max(self._busy / training.records, self._pause(training))
        return (all_of_them - done) / training.config.record_every * a_record

    def start(self, settings: Settings, *, records: int | None = None) -> None:
        """Begin a training, or go on with one that is paused.

        Args:
            settings: What to train; a paused training goes on with its own.
            records: Pause after so many records.
        """
        with self._turn:
            if self.state is State.RUNNING:
                return
            self._records_left = records
            if self.state is State.PAUSED:
                self._enter(State.RUNNING)
                self._driver.wake()
                return
            self._generation += 1
            self.settings = settings
            self.learning_rate, self.speed = settings.learning_rate, settings.speed
            self._training, self._runs, self._drawn, self.error = None, [], 0, ""
            self._seen.clear()
            self._enter(State.RUNNING)
        self._driver.start(self._train(self._generation))
        self._driver.start(self._draw(self._generation))

    def pause(self) -> None:
        """Pause the training after the record it is at."""
        with self._turn:
            if self.state is State.RUNNING:
                self._enter(State.PAUSED)

    def stop(self) -> None:
        """End the training after the record it is at; what was recorded stays."""
        with self._turn:
            if self.active:
                self._enter(State.STOPPED)
        self._driver.wake()

    def reset(self) -> None:
        """End the training and forget it."""
        with self._turn:
            self._generation += 1
            self._training = None
            self._enter(State.READY)
        self._driver.wake()

    def close(self, timeout: float = 5.0) -> bool:
        """End all jobs and wait for them; return whether they have ended."""
        self.reset()
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
                    training.learning_rate = self.learning_rate
                    self._training, self._runs = training, runs
                    self._drawn, self._busy = 0, 0.0
                    if runs:
                        self._on_state()
                yield from self._train_one(training, generation)
                if training.records and generation == self._generation:
                    runs.append(training.run())
                if training.diverged:
                    end = State.DIVERGED
        except Exception as error:  # in a thread it would reach nobody
            self.error = f"{type(error).__name__}: {error}"
            end = State.FAILED
        with self._turn:
            if generation == self._generation:
                if self.active:
                    self._enter(end)
                self._on_end(runs)

    def _train_one(self, training: Training, generation: int) -> Iterator[float]:
        while self._ours(generation) and not training.done:
            if self.state is State.PAUSED:
                yield _IDLE
                continue
            began, before = time.perf_counter(), training.records
            training.advance(functools.partial(self._enough, generation, began))
            took = time.perf_counter() - began
            made = training.records - before
            self._busy += took
            self._count(made)
            yield max(0.0, made * self._pause(training) - took)

    def _count(self, records: int) -> None:
        """Pause after the last of the records that were asked for."""
        with self._turn:
            if self._records_left is not None and self.state is State.RUNNING:
                self._records_left -= records
                if self._records_left <= 0:
                    self._records_left = None
                    self._enter(State.PAUSED)

    def _enough(self, generation: int, began: float) -> bool:
        """Whether `fit` is to come back after this record."""
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
        """Leave the processor to the first picture, which takes the most to draw."""
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
        if state is not State.RUNNING:
            self._seen.set()
        self._on_state()


_sessions: weakref.WeakSet[Session] = weakref.WeakSet()


@atexit.register
def _end_all() -> None:
    """End what still trains: an interpreter that ends under a thread in TensorFlow crashes."""
    for session in list(_sessions):
        if session.active:
            session.close()
