"""What all targets are: a function on an interval, its grids and its noise."""

from __future__ import annotations

import abc
import dataclasses
import math
import numbers
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike


@dataclass(frozen=True, kw_only=True)
class Target(abc.ABC):
    """What all targets share.

    Args:
        domain: Start and end of the interval; the end itself is left out. Default [-π, π).
        noise: Standard deviation of the Gaussian noise that a call adds. Default 0.
        seed: Seed of that noise: the same points get the same noise at each call.

    Raises:
        ValueError: If a setting makes no sense.
    """

    domain: tuple[float, float] = (-math.pi, math.pi)
    noise: float = 0.0
    seed: int = 0

    def __post_init__(self) -> None:
        bounds = tuple(finite("domain", bound) for bound in self.domain)
        if len(bounds) != 2 or bounds[0] >= bounds[1]:
            raise ValueError(f"`domain` must be (start, end) with start < end, got {self.domain}.")
        noise = finite("noise", self.noise)
        if noise < 0:
            raise ValueError(f"`noise` is a standard deviation, 0 or more, got {noise}.")
        put(self, domain=bounds, noise=noise, seed=whole("seed", self.seed, 0))

    @property
    def length(self) -> float:
        """Length of the domain."""
        return self.domain[1] - self.domain[0]

    @property
    def highest(self) -> int:
        """The largest wave number that a grid must resolve; 0 if none is known."""
        return 0

    @property
    def frequencies(self) -> tuple[int, ...]:
        """The wave numbers worth following: here, the five that carry the most energy."""
        points = max(1024, 8 * self.highest)
        energy = np.abs(np.fft.rfft(self.clean(self.grid(points))[:, 0])) ** 2
        energy[0] = 0.0
        strongest = np.argsort(-energy, kind="stable")[:5]
        return tuple(sorted(int(k) for k in strongest if energy[k] > 1e-12 * energy.sum()))

    def grid(self, points: int) -> np.ndarray:
        """Return equally spaced points of shape (points, 1) from the start, the end left out.

        Args:
            points: How many, at least 2.

        Raises:
            ValueError: If the target has a wave number that so few points cannot resolve.
        """
        points = whole("points", points, 2)
        if self.highest >= points / 2:
            raise ValueError(
                f"{points} points resolve wave numbers below {points / 2:g}, their Nyquist limit, "
                f"and this target has wave number {self.highest}: take more than "
                f"{2 * self.highest} points."
            )
        return (self.domain[0] + self.length * np.arange(points) / points)[:, np.newaxis]

    def __call__(self, x: ArrayLike) -> np.ndarray:
        """Return the target with its noise at the points `x`, of shape (n, 1), in their shape."""
        positions = np.asarray(x, dtype=np.float64)
        values = self.clean(positions)
        if self.noise:
            generator = np.random.default_rng(self.seed)
            values = values + self.noise * generator.standard_normal(positions.shape)
        return values

    @abc.abstractmethod
    def clean(self, x: np.ndarray) -> np.ndarray:
        """Return the target without its noise."""

    def coefficients(self, frequencies: ArrayLike) -> np.ndarray:
        """Return the exact Fourier coefficients of the target without its noise.

        c_k = 2/L ∫ f(x) exp(-2πik(x - a)/L) dx over the domain [a, a + L), and half of that at
        k = 0: what `spectrum` approaches as the grid grows finer.

        Args:
            frequencies: Wave numbers, 0 or more.

        Raises:
            ValueError: If they have no closed form here.
        """
        raise ValueError(
            f"{type(self).__name__} has no Fourier coefficients in closed form: use "
            "`spectrum(target.clean(target.grid(points)), frequencies)` with many points."
        )

    def to_dict(self) -> dict[str, Any]:
        """Return the target as JSON holds it; `target_from_dict` reads it."""
        return {"kind": type(self).__name__, **dataclasses.asdict(self)}

    def _turns(self, x: np.ndarray) -> np.ndarray:
        """Position in periods of wave number 1, 0 where x is 0."""
        return x / self.length

    def _sine(self, k: np.ndarray, amplitude: float | np.ndarray, phase: float) -> np.ndarray:
        """Coefficient of amplitude · sin(2πkx/L + phase), phases counted from the start."""
        at_start = phase + 2 * np.pi * k * (self.domain[0] / self.length)
        return np.where(k == 0, amplitude * np.sin(phase), -1j * amplitude * np.exp(1j * at_start))


def put(target: Target, **values: Any) -> None:
    """Put checked values into a frozen record while it is made."""
    for name, value in values.items():
        object.__setattr__(target, name, value)


def whole(name: str, value: Any, least: int) -> int:
    """Return a setting as an integer.

    Raises:
        ValueError: If it is none, or below `least`.
    """
    if not _is_finite(value) or value != round(value) or value < least:
        raise ValueError(f"`{name}` must be a whole number from {least} on, got {value!r}.")
    return int(value)


def finite(name: str, value: Any) -> float:
    """Return a setting as a number.

    Raises:
        ValueError: If it is none, or infinite.
    """
    if not _is_finite(value):
        raise ValueError(f"`{name}` must be a finite number, got {value!r}.")
    return float(value)


def _is_finite(value: Any) -> bool:
    number = isinstance(value, numbers.Real) and not isinstance(value, bool)
    return number and math.isfinite(value)


def wave_numbers(frequencies: ArrayLike) -> np.ndarray:
    """Return wave numbers as integers.

    Raises:
        ValueError: If they are none.
    """
    k = np.asarray(frequencies)
    if k.size and (np.any(k < 0) or np.any(k != np.round(k))):
        raise ValueError(f"Wave numbers are whole and 0 or more, got {k}.")
    return k.astype(np.int64)
