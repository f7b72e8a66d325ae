"""Waves, steps and chirps: targets with many frequencies."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from keras_lcb.synthetic.target import Target, finite, put, wave_numbers, whole


@dataclass(frozen=True)
class _Wave(Target):
    """A wave that repeats `wave_number` times over the domain, with the start of a period at 0."""

    wave_number: int = 1
    amplitude: float = 1.0

    def __post_init__(self) -> None:
        super().__post_init__()
        put(
            self,
            wave_number=whole("wave_number", self.wave_number, 1),
            amplitude=finite("amplitude", self.amplitude),
        )

    @property
    def highest(self) -> int:
        """Returns the fundamental wave number; there are infinitely many harmonics above it."""
        return self.wave_number

    def _fraction(self, x: np.ndarray) -> np.ndarray:
        # Rounded, so that rounding errors do not decide on which side of a jump a point lies.
        return np.mod(np.round(self.wave_number * self._turns(x), 9), 1.0)

    def _harmonic(self, k: np.ndarray) -> np.ndarray:
        """Returns k divided by the fundamental wave number; 0 if k is not a multiple of it."""
        return np.where(k % self.wave_number == 0, k // self.wave_number, 0)


@dataclass(frozen=True)
class Square(_Wave):
    """A square wave with the sign of sin(2πkx/L). It has odd harmonics m, which fall like 1/m.

    Args:
        wave_number: Number k of periods over the domain. Defaults to 1.
        amplitude: Height of the wave. Defaults to 1.
        domain: See `Target`.
        noise: See `Target`.
        seed: See `Target`.

    Example:
        >>> Square()([[-1.0], [1.0]]).tolist()
        [[-1.0], [1.0]]
        >>> abs(Square().coefficients([1, 2, 3]) * 3.14159265 / 4).round(3)
        array([1.   , 0.   , 0.333])
    """

    def clean(self, x: np.ndarray) -> np.ndarray:
        """Returns the wave at `x`."""
        return np.where(self._fraction(x) < 0.5, self.amplitude, -self.amplitude)

    def coefficients(self, frequencies: ArrayLike) -> np.ndarray:
        """Returns the exact Fourier coefficients; see `Target.coefficients`."""
        k = wave_numbers(frequencies)
        m = self._harmonic(k)
        size = np.where(m % 2 == 1, 4 * self.amplitude / (np.pi * np.maximum(m, 1)), 0.0)
        return self._sine(k, size, 0.0)


@dataclass(frozen=True)
class Sawtooth(_Wave):
    """A wave that rises linearly from -1 to 1 in each period, and then jumps back. It is 0 at 0.

    Args:
        wave_number: Number of periods over the domain. Defaults to 1.
        amplitude: Height of the wave. Defaults to 1.
        domain: See `Target`.
        noise: See `Target`.
        seed: See `Target`.

    Example:
        >>> import numpy as np
        >>> (Sawtooth()([[-1.0], [2.0]]) * np.pi).round(6).tolist()
        [[-1.0], [2.0]]
    """

    def clean(self, x: np.ndarray) -> np.ndarray:
        """Returns the wave at `x`."""
        return self.amplitude * (2 * np.mod(self._fraction(x) + 0.5, 1.0) - 1)

    def coefficients(self, frequencies: ArrayLike) -> np.ndarray:
        """Returns the exact Fourier coefficients; see `Target.coefficients`."""
        k = wave_numbers(frequencies)
        m = self._harmonic(k)
        sign = np.where(m % 2 == 1, 1.0, -1.0)
        size = np.where(m > 0, 2 * self.amplitude * sign / (np.pi * np.maximum(m, 1)), 0.0)
        return self._sine(k, size, 0.0)


@dataclass(frozen=True)
class Step(Target):
    """A step from 0 to 1. Continued periodically, it falls back to 0 at the end of the domain.

    Args:
        position: Position of the step, as a fraction of the domain. Defaults to 0.5, the middle.
        domain: See `Target`.
        noise: See `Target`.
        seed: See `Target`.

    Example:
        >>> Step()([[-0.1], [0.1]]).tolist()
        [[0.0], [1.0]]
    """

    position: float = 0.5

    def __post_init__(self) -> None:
        super().__post_init__()
        position = finite("position", self.position)
        if not 0 < position < 1:
            raise ValueError(f"`position` must be a fraction between 0 and 1; received {position}.")
        put(self, position=position)

    def clean(self, x: np.ndarray) -> np.ndarray:
        """Returns the step at `x`."""
        beyond = (x - self.domain[0]) / self.length - self.position
        # Rounded, so that a point at the step belongs to it, whatever the rounding errors.
        return np.where(np.round(beyond, 9) >= 0, 1.0, 0.0)

    def coefficients(self, frequencies: ArrayLike) -> np.ndarray:
        """Returns the exact Fourier coefficients; see `Target.coefficients`."""
        k = wave_numbers(frequencies)
        rise = 1 - np.exp(-2j * np.pi * k * self.position)
        return np.where(k == 0, 1 - self.position, 1j * rise / (np.pi * np.maximum(k, 1)))


@dataclass(frozen=True)
class Chirp(Target):
    """A sine whose wave number changes linearly from one end of the domain to the other.

    In general it is not periodic, so that its energy leaks into other wave numbers; see
    `spectra.leakage`.

    Args:
        first: Wave number at the start. Defaults to 1.
        last: Wave number at the end. Defaults to 20.
        domain: See `Target`.
        noise: See `Target`.
        seed: See `Target`.

    Example:
        >>> Chirp(1, 20).highest
        20
    """

    first: float = 1.0
    last: float = 20.0

    def __post_init__(self) -> None:
        super().__post_init__()
        first, last = finite("first", self.first), finite("last", self.last)
        if min(first, last) < 0:
            raise ValueError(
                f"`first` and `last` must be 0 or more; received first={first} and last={last}."
            )
        put(self, first=first, last=last)

    @property
    def highest(self) -> int:
        """Returns the larger of the two wave numbers, rounded up."""
        return math.ceil(max(self.first, self.last))

    def clean(self, x: np.ndarray) -> np.ndarray:
        """Returns the chirp at `x`."""
        turn = (x - self.domain[0]) / self.length
        return np.sin(2 * np.pi * (self.first * turn + (self.last - self.first) * turn**2 / 2))
