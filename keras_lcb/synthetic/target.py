"""The base of all targets: a function on an interval, with its grids and its noise.

A new kind of target is a subclass of `Target` in a file of this folder, such as `waves.py`, and a
name in `__init__.py`.
"""

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
    """The base of all targets, the functions of one variable that a network learns.

    Args:
        domain: Start and end of the interval, which does not include its end. Defaults to [-π, π).
        noise: Standard deviation of the Gaussian noise that each call adds. Defaults to 0.
        seed: Seed of the noise. The same array of points gets the same noise at each call.
            Defaults to 0.

    Raises:
        ValueError: If a setting is out of its range.

    Example:
        >>> @dataclass(frozen=True)
        ... class Bump(Target):
        ...     width: float = 1.0
        ...
        ...     def clean(self, x):
        ...         return np.exp(-((x / self.width) ** 2))
        >>> Bump(width=2.0)([[0.0], [2.0]]).round(2).tolist()
        [[1.0], [0.37]]
    """

    domain: tuple[float, float] = (-math.pi, math.pi)
    noise: float = 0.0
    seed: int = 0

    def __post_init__(self) -> None:
        bounds = tuple(finite("domain", bound) for bound in self.domain)
        if len(bounds) != 2 or bounds[0] >= bounds[1]:
            raise ValueError(
                f"`domain` must be (start, end) with start < end; received {self.domain}."
            )
        noise = finite("noise", self.noise)
        if noise < 0:
            raise ValueError(f"`noise` must be a standard deviation, 0 or more; received {noise}.")
        put(self, domain=bounds, noise=noise, seed=whole("seed", self.seed, 0))

    @property
    def length(self) -> float:
        """Returns the length of the domain."""
        return self.domain[1] - self.domain[0]

    @property
    def highest(self) -> int:
        """Returns the largest wave number that a grid must resolve; 0 if none is known."""
        return 0

    @property
    def frequencies(self) -> tuple[int, ...]:
        """Returns the wave numbers to record: by default the five with the most energy."""
        points = max(1024, 8 * self.highest)
        energy = np.abs(np.fft.rfft(self.clean(self.grid(points))[:, 0])) ** 2
        energy[0] = 0.0
        strongest = np.argsort(-energy, kind="stable")[:5]
        return tuple(sorted(int(k) for k in strongest if energy[k] > 1e-12 * energy.sum()))

    def grid(self, points: int) -> np.ndarray:
        """Returns equally spaced points of the domain, from its start, without its end.

        Args:
            points: Number of points, 2 or more.

        Returns:
            An array of shape (points, 1).

        Raises:
            ValueError: If the points are too few to resolve a wave number of the target.
        """
        points = whole("points", points, 2)
        if self.highest >= points / 2:
            raise ValueError(
                f"{points} points resolve only wave numbers below {points / 2:g}, their Nyquist "
                f"limit; received a target with wave number {self.highest}. Use more than "
                f"{2 * self.highest} points."
            )
        return (self.domain[0] + self.length * np.arange(points) / points)[:, np.newaxis]

    def __call__(self, x: ArrayLike) -> np.ndarray:
        """Returns the target with its noise at the points `x`, both of shape (n, 1)."""
        positions = np.asarray(x, dtype=np.float64)
        values = self.clean(positions)
        if self.noise:
            generator = np.random.default_rng(self.seed)
            values = values + self.noise * generator.standard_normal(positions.shape)
        return values

    @abc.abstractmethod
    def clean(self, x: np.ndarray) -> np.ndarray:
        """Returns the target at `x`, without its noise."""

    def coefficients(self, frequencies: ArrayLike) -> np.ndarray:
        """Returns the exact Fourier coefficients of the target without its noise.

        The coefficient is c_k = 2/L ∫ f(x) exp(-2πik(x - a)/L) dx over the domain [a, a + L), and
        half of this at k = 0. The result of `spectrum` approaches it on finer and finer grids.

        Args:
            frequencies: Wave numbers, 0 or more.

        Returns:
            An array of complex coefficients, one for each wave number.

        Raises:
            ValueError: If this kind of target has no coefficients in closed form.
        """
        raise ValueError(
            f"Received a target of the kind {type(self).__name__}, which has no Fourier "
            "coefficients in closed form. Use "
            "`spectrum(target.clean(target.grid(points)), frequencies)` with many points."
        )

    def to_dict(self) -> dict[str, Any]:
        """Returns the target as a dict that JSON can hold, and `target_from_dict` can read."""
        return {"kind": type(self).__name__, **dataclasses.asdict(self)}

    def _turns(self, x: np.ndarray) -> np.ndarray:
        """Returns x in units of the period of wave number 1."""
        return x / self.length

    def _sine(self, k: np.ndarray, amplitude: float | np.ndarray, phase: float) -> np.ndarray:
        """Returns the coefficient of amplitude · sin(2πkx/L + phase) at wave number k.

        The phase of the coefficient is counted from the start of the domain.
        """
        at_start = phase + 2 * np.pi * k * (self.domain[0] / self.length)
        return np.where(k == 0, amplitude * np.sin(phase), -1j * amplitude * np.exp(1j * at_start))


def put(target: Target, **values: Any) -> None:
    """Sets attributes of a frozen target during its construction."""
    for name, value in values.items():
        object.__setattr__(target, name, value)


def whole(name: str, value: Any, least: int) -> int:
    """Returns a setting as an integer.

    Raises:
        ValueError: If the setting is not a whole number, or is below `least`.
    """
    if not _is_finite(value) or value != round(value) or value < least:
        raise ValueError(f"`{name}` must be a whole number, {least} or more; received {value!r}.")
    return int(value)


def finite(name: str, value: Any) -> float:
    """Returns a setting as a number.

    Raises:
        ValueError: If the setting is not a number, or is infinite.
    """
    if not _is_finite(value):
        raise ValueError(f"`{name}` must be a finite number; received {value!r}.")
    return float(value)


def _is_finite(value: Any) -> bool:
    number = isinstance(value, numbers.Real) and not isinstance(value, bool)
    return number and math.isfinite(value)


def wave_numbers(frequencies: ArrayLike) -> np.ndarray:
    """Returns wave numbers as integers.

    Raises:
        ValueError: If a wave number is negative or not whole.
    """
    k = np.asarray(frequencies)
    if k.size and (np.any(k < 0) or np.any(k != np.round(k))):
        raise ValueError(f"Wave numbers must be whole numbers, 0 or more; received {k}.")
    return k.astype(np.int64)
