"""Times several variants of a training in turn, so that a busy machine slows down all of them.

Each round trains every variant once, in a random order, and only times of the same round are
compared. Times are measured from the end of one epoch to the end of the next, in wall seconds and
in processor seconds, with the garbage collector off.
"""

from __future__ import annotations

import dataclasses
import gc
import time
from collections.abc import Callable, Mapping
from typing import Any

import keras
import numpy as np
import tqdm

Callbacks = Callable[[], list[keras.callbacks.Callback]]
WARM_UP_EPOCHS = 2


@dataclasses.dataclass(frozen=True)
class Fit:
    """The times of one `fit`. The last axis of each array is (wall seconds, processor seconds).

    Attributes:
        start: Time from the call to the end of the first epoch, (2,).
        epochs: Time of each later epoch, (epochs, 2).
        hooks: The part of `epochs` that was spent in the hooks between two epochs, (epochs, 2).
    """

    start: np.ndarray
    epochs: np.ndarray
    hooks: np.ndarray


@dataclasses.dataclass(frozen=True)
class Variant:
    """One way to train: a compiled model, which variants may share, and callbacks for its `fit`."""

    model: keras.Model
    callbacks: Callbacks


@dataclasses.dataclass(frozen=True)
class Timings:
    """The times of one variant. The last axis of each array is (wall seconds, processor seconds).

    Attributes:
        first_start: Time from the call of the first `fit` to the end of its first epoch,
            compilation included, (2,).
        starts: The same for all later calls of `fit`, (rounds, 2).
        epochs: Time of each epoch after the first of a `fit`, (rounds, epochs, 2).
        hooks: The part of `epochs` that was spent in the hooks between two epochs, (rounds,
            epochs, 2).
    """

    first_start: np.ndarray
    starts: np.ndarray
    epochs: np.ndarray
    hooks: np.ndarray


class _Mark(keras.callbacks.Callback):
    """Notes the times at which its epoch hooks are called. Batch hooks would slow training down."""

    def __init__(self) -> None:
        super().__init__()
        self.begins: list[np.ndarray] = []
        self.ends: list[np.ndarray] = []

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        self.begins.append(_now())

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        self.ends.append(_now())


def time_variants(
    variants: Mapping[str, Variant],
    data: tuple[np.ndarray, np.ndarray],
    *,
    batch_size: int,
    rounds: int,
    epochs: int,
    seed: int = 0,
) -> dict[str, Timings]:
    """Trains all variants in turn.

    Args:
        variants: The variants to time, by name.
        data: The training data (x, y).
        batch_size: Samples in each step.
        rounds: How often each variant is trained, after a first time that compiles.
        epochs: Epochs to time in each round. Each `fit` has one more epoch before them.
        seed: Seed of the order within the rounds.

    Returns:
        The times of each variant, by name.
    """
    order = np.random.default_rng(seed)
    names = list(variants)
    fits: dict[str, list[Fit]] = {name: [] for name in names}
    enabled = gc.isenabled()
    gc.disable()
    try:
        for name in names:
            fits[name].append(_fit(variants[name], data, batch_size, WARM_UP_EPOCHS))
        for _ in tqdm.trange(rounds, desc="rounds", leave=False):
            for name in order.permutation(names):
                fits[name].append(_fit(variants[name], data, batch_size, 1 + epochs))
    finally:
        if enabled:
            gc.enable()
    return {name: _timings(*fits[name]) for name in names}


def _fit(
    variant: Variant, data: tuple[np.ndarray, np.ndarray], batch_size: int, epochs: int
) -> Fit:
    first, last = _Mark(), _Mark()
    callbacks = [first, *variant.callbacks(), last]
    x, y = data
    gc.collect()
    called = _now()
    variant.model.fit(x, y, batch_size=batch_size, epochs=epochs, verbose=0, callbacks=callbacks)
    begins = np.array(last.begins) - np.array(first.begins)
    ends = np.array(last.ends) - np.array(first.ends)
    return Fit(
        start=last.ends[0] - called,
        epochs=np.diff(np.array(last.ends), axis=0),
        hooks=(begins + ends)[1:],
    )


def _timings(first: Fit, *later: Fit) -> Timings:
    return Timings(
        first_start=first.start,
        starts=np.array([fit.start for fit in later]),
        epochs=np.array([fit.epochs for fit in later]),
        hooks=np.array([fit.hooks for fit in later]),
    )


def _now() -> np.ndarray:
    return np.array([time.perf_counter(), time.process_time()])


@dataclasses.dataclass(frozen=True)
class Ratio:
    """The time of a variant's epoch, divided by that of plain training.

    Attributes:
        median: Median over the rounds.
        lower: Lower quartile over the rounds.
        upper: Upper quartile over the rounds.
        fastest: Ratio of the fastest epochs.
    """

    median: float
    lower: float
    upper: float
    fastest: float


def ratio(variant: Timings, plain: Timings, clock: int = 0) -> Ratio:
    """Compares a variant with plain training, within each round.

    The ratio of the fastest epochs is least affected by noise.

    Args:
        variant: The times of a variant.
        plain: The times of plain training.
        clock: 0 for wall seconds, 1 for processor seconds.

    Returns:
        Median and quartiles over the rounds, and the ratio of the fastest epochs.
    """
    a, b = variant.epochs[..., clock], plain.epochs[..., clock]
    lower, median, upper = np.quantile(a.mean(axis=1) / b.mean(axis=1), [0.25, 0.5, 0.75])
    return Ratio(float(median), float(lower), float(upper), float(a.min() / b.min()))
