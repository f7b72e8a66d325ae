"""Targets: functions of one variable to learn, each with its domain, grids and exact spectrum.

A target is a frozen dataclass. Equal targets give the same values. `to_dict` and
`target_from_dict` convert a target to JSON and back. A wave number is a number of periods over the
domain: wave number k is sin(kx) on [-π, π), and sin(2πkx) on [0, 1).
"""

from __future__ import annotations

import dataclasses
import hashlib
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike

from keras_lcb.synthetic import formulas
from keras_lcb.synthetic.target import Target, finite, put, wave_numbers, whole

_FINGERPRINT_POINTS = 64
# A power of 2: so this grid holds the points of every smaller grid whose size is a power of 2.
_FORMULA_POINTS = 4096


@dataclass(frozen=True)
class SineSum(Target):
    """A sum of sinusoids: Σ A sin(kx + φ) on [-π, π), Σ A sin(2πkx/L + φ) on length L.

    Args:
        rows: A triple (wave number k, amplitude A, phase φ) for each sinusoid. k is a whole number,
            so that the sum is periodic on the domain.
        domain: See `Target`.
        noise: See `Target`.
        seed: See `Target`.

    Raises:
        ValueError: If there are no rows, or a row is not such a triple.

    Example:
        >>> target = SineSum([(1, 1.0, 0.0), (10, 0.1, 0.0)])
        >>> target(target.grid(64)).shape
        (64, 1)
        >>> abs(target.coefficients([1, 2, 10])).round(3)
        array([1. , 0. , 0.1])
    """

    rows: Sequence[tuple[int, float, float]]

    def __post_init__(self) -> None:
        super().__post_init__()
        rows = tuple(_row(row) for row in self.rows)
        if not rows:
            raise ValueError(
                "`rows` must hold at least one (wave number, amplitude, phase); received none."
            )
        put(self, rows=rows)

    @property
    def highest(self) -> int:
        """Returns the largest wave number of the rows."""
        return max(k for k, _, _ in self.rows)

    @property
    def frequencies(self) -> tuple[int, ...]:
        """Returns the wave numbers of the rows, except for constants and amplitudes of 0."""
        return tuple(sorted({k for k, amplitude, _ in self.rows if k and amplitude}))

    def clean(self, x: np.ndarray) -> np.ndarray:
        """Returns the sum at `x`."""
        rate = 2 * np.pi / self.length
        return sum(
            (a * np.sin(rate * k * x + phase) for k, a, phase in self.rows), np.zeros_like(x)
        )

    def coefficients(self, frequencies: ArrayLike) -> np.ndarray:
        """Returns the exact Fourier coefficients; see `Target.coefficients`."""
        k = wave_numbers(frequencies)
        return sum(
            (np.where(k == own, self._sine(k, a, phase), 0.0) for own, a, phase in self.rows),
            np.zeros(k.shape, dtype=complex),
        )


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
        return np.where(np.round((x - self.domain[0]) / self.length, 9) >= self.position, 1.0, 0.0)

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


@dataclass(frozen=True)
class Function(Target):
    """Any elementwise function of an array.

    JSON holds the name of the function and a fingerprint of its values. These distinguish two
    functions, but a function cannot be restored from them: code from a file is never run.

    Args:
        function: A function that takes an array of positions and returns an array of values with
            the same shape.
        domain: See `Target`.
        noise: See `Target`.
        seed: See `Target`.

    Raises:
        ValueError: If the function does not return one finite number for each position.

    Example:
        >>> import numpy as np
        >>> bump = Function(lambda x: np.exp(-x**2))
        >>> bump([[0.0]])
        array([[1.]])
    """

    function: Callable[[np.ndarray], ArrayLike]

    def __post_init__(self) -> None:
        super().__post_init__()
        if not callable(self.function):
            raise ValueError(f"`function` must be callable; received {self.function!r}.")
        self.clean(self.grid(_FINGERPRINT_POINTS))

    def clean(self, x: np.ndarray) -> np.ndarray:
        """Returns the function's values at `x`."""
        values = np.asarray(self.function(x), dtype=np.float64)
        if values.shape != x.shape or not np.isfinite(values).all():
            raise ValueError(
                "`function` must return one finite number for each position; for positions of "
                f"shape {x.shape}, received {_described(values)} from '{_name(self.function)}'."
            )
        return values

    def to_dict(self) -> dict[str, Any]:
        """Returns the name and a fingerprint of the function, and the other settings."""
        values = self.clean(self.grid(_FINGERPRINT_POINTS))
        return {
            "kind": "Function",
            "function": _name(self.function),
            "fingerprint": hashlib.sha256(np.round(values, 9).tobytes()).hexdigest(),
            "domain": self.domain,
            "noise": self.noise,
            "seed": self.seed,
        }


@dataclass(frozen=True)
class Expression(Target):
    """A function given as a formula of x, for example `sin(x) + 0.3*sin(3*x)`.

    The formula may contain only known signs and names, and is never run as Python code (see
    `formulas`). So a formula from an unknown source is safe, and can be restored from JSON.

    Args:
        formula: The text of the formula.
        domain: See `Target`.
        noise: See `Target`.
        seed: See `Target`.

    Raises:
        ValueError: If the text is not a formula of x, or its values on the domain are constant, not
            finite or larger than a million. The message is a sentence for the person who typed
            the formula.

    Example:
        >>> Expression("1 + x^2")([[0.0], [2.0]]).tolist()
        [[1.0], [5.0]]
    """

    formula: str

    def __post_init__(self) -> None:
        super().__post_init__()
        if not isinstance(self.formula, str):
            raise ValueError(f"`formula` must be a text; received {self.formula!r}.")
        values = self.clean(self.grid(_FORMULA_POINTS))
        if np.ptp(values) <= 1e-9:
            raise ValueError("This function is constant. Enter one that changes with x.")

    def clean(self, x: np.ndarray) -> np.ndarray:
        """Returns the formula's values at `x`."""
        return formulas.evaluate(self.formula, x)


_KINDS: dict[str, type[Target]] = {
    kind.__name__: kind for kind in (SineSum, Square, Sawtooth, Step, Chirp, Expression)
}


def target_from_dict(settings: dict[str, Any]) -> Target:
    """Returns the target that a dict from `Target.to_dict` describes.

    Args:
        settings: The dict, which may have been stored as JSON in between.

    Raises:
        ValueError: If the dict does not describe a target, or describes a Python function.

    Example:
        >>> import json
        >>> target_from_dict(json.loads(json.dumps(Step().to_dict()))) == Step()
        True
    """
    if not isinstance(settings, dict):
        raise ValueError(f"A target must be a dict with a 'kind'; received {settings!r}.")
    values = dict(settings)
    kind = values.pop("kind", None)
    if kind == "Function":
        raise ValueError(
            f"Received the name of the function '{values.get('function')}', but the function "
            "itself is not kept in JSON. Build `Function(...)` with the function."
        )
    if kind not in _KINDS:
        raise ValueError(
            f"The 'kind' of a target must be one of {', '.join(_KINDS)}; received '{kind}'."
        )
    known = {field.name for field in dataclasses.fields(_KINDS[kind])}
    unknown = sorted(set(values) - known)
    if unknown:
        raise ValueError(
            f"The settings of {kind} must be among {', '.join(sorted(known))}; received "
            f"'{unknown[0]}'."
        )
    try:
        return _KINDS[kind](**values)
    except TypeError as error:
        raise ValueError(
            f"Received settings from which no {kind} can be made: {settings!r} ({error})."
        ) from error


def default_target(*, noise: float = 0.0, seed: int = 0) -> SineSum:
    """Returns the target sin x + 1/3 sin 3x + 1/10 sin 10x + 1/30 sin 30x on [-π, π).

    Args:
        noise: Standard deviation of the noise. Defaults to 0.
        seed: Seed of the noise. Defaults to 0.

    Example:
        >>> default_target().frequencies
        (1, 3, 10, 30)
    """
    return SineSum([(k, 1 / k, 0.0) for k in (1, 3, 10, 30)], noise=noise, seed=seed)


def spectral_bias_target(
    seed: int = 0, amplitudes: Literal["equal", "rising"] = "equal", *, noise: float = 0.0
) -> SineSum:
    """Returns the target with which Rahaman et al. showed that low frequencies are learned first.

    It is the sum of ten sinusoids A_k sin(2πkt + φ_k) on [0, 1), with k = 5, 10, …, 50 and random
    phases in [0, 2π). The domain matters: the scale of the input changes how fast a network learns.

    Args:
        seed: Seed of the phases, and of the noise. Defaults to 0.
        amplitudes: "equal" for amplitudes of 1, or "rising" for amplitudes k/50, from 0.1 to 1.
            Defaults to "equal".
        noise: Standard deviation of the noise. Defaults to 0.

    Raises:
        ValueError: If `amplitudes` is not "equal" or "rising".

    Reference:
        Rahaman et al., On the Spectral Bias of Neural Networks, ICML 2019, arXiv 1806.08734.

    Example:
        >>> spectral_bias_target(0).frequencies
        (5, 10, 15, 20, 25, 30, 35, 40, 45, 50)
    """
    if amplitudes not in ("equal", "rising"):
        raise ValueError(f'`amplitudes` must be "equal" or "rising"; received {amplitudes!r}.')
    wave_numbers = range(5, 51, 5)
    seed = whole("seed", seed, 0)
    phases = np.random.default_rng(seed).uniform(0.0, 2 * np.pi, size=len(wave_numbers))
    rows = [
        (k, 1.0 if amplitudes == "equal" else k / 50, phase)
        for k, phase in zip(wave_numbers, phases, strict=True)
    ]
    return SineSum(rows, domain=(0.0, 1.0), noise=noise, seed=seed)


def _row(row: Sequence[float]) -> tuple[int, float, float]:
    try:
        k, amplitude, phase = row
    except (TypeError, ValueError):
        raise ValueError(
            f"A row must be (wave number, amplitude, phase); received {row!r}."
        ) from None
    return whole("wave number", k, 0), finite("amplitude", amplitude), finite("phase", phase)


def _name(function: Any) -> str:
    """Returns the name of a function with its module."""
    kind = type(function)
    return ".".join(
        (
            getattr(function, "__module__", kind.__module__),
            getattr(function, "__qualname__", kind.__qualname__),
        )
    )


def _described(values: np.ndarray) -> str:
    return f"an array of shape {values.shape}" if np.isfinite(values).all() else "NaN or infinity"
