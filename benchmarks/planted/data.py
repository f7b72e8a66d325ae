"""Small data sets: x, y and the number of classes, which is 0 for a regression."""

from __future__ import annotations

import functools

import numpy as np

Data = tuple[np.ndarray, np.ndarray, int]
_SAMPLES = 768


@functools.cache
def digits() -> Data:
    """Returns handwritten digits of 8x8 pixels."""
    from sklearn.datasets import load_digits

    x, y = load_digits(return_X_y=True)
    return (x[:_SAMPLES].reshape(-1, 8, 8, 1) / 16).astype("float32"), y[:_SAMPLES], 10


@functools.cache
def wave() -> Data:
    """Returns a sum of sines of one variable."""
    x = np.linspace(-1, 1, 512, dtype="float32")[:, None]
    return x, np.sin(3 * x) + 0.5 * np.sin(9 * x), 0


@functools.cache
def gratings() -> Data:
    """Returns noisy images of 8x8 pixels that show a wave in one of six directions."""
    rng = np.random.default_rng(0)
    y = rng.integers(0, 6, _SAMPLES)
    across, down = np.meshgrid(np.arange(8), np.arange(8))
    angle = (np.pi * y / 6)[:, None, None]
    phase = rng.uniform(0, 2 * np.pi, (_SAMPLES, 1, 1))
    x = np.sin(1.6 * (across * np.cos(angle) + down * np.sin(angle)) + phase)
    x = x + rng.normal(0, 0.3, x.shape)
    return x[..., None].astype("float32"), y, 6


def noisy_digits() -> Data:
    """Returns the digits with a wrong label on a quarter of them."""
    return _noisy(digits())


def noisy_wave() -> Data:
    """Returns the sum of sines with noise."""
    x, y, classes = wave()
    return x, y + np.random.default_rng(1).normal(0, 0.3, y.shape).astype("float32"), classes


def noisy_gratings() -> Data:
    """Returns the images of waves with a wrong label on a quarter of them."""
    return _noisy(gratings())


def _noisy(data: Data) -> Data:
    x, y, classes = data
    rng = np.random.default_rng(1)
    wrong = rng.random(len(y)) < 0.25
    return x, np.where(wrong, (y + rng.integers(1, classes, len(y))) % classes, y), classes
