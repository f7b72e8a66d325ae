"""Functions of one variable to learn, each with its domain, its grid and its exact spectrum.

A target is a small frozen record: two that are equal give the same values, and `to_dict` and
`target_from_dict` carry one through JSON. Wave numbers count periods over the domain: on [-π, π),
wave number k is sin(kx); on [0, 1), it is sin(2πkx).
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
# Holds the points of every smaller grid of 2ⁿ points, 0 among them.
_FORMULA_POINTS = 4096


@dataclass(frozen=True)
class SineSum(Target):
    """A sum of sinusoids: Σ A sin(kx + φ) on [-π, π), Σ A sin(2πkx/L + φ) on length L.

    Args:
        rows: One (wave number k, amplitude A, phase φ) a sinusoid; k is a whole number, so that
            the sum is periodic on the domain.
        domain: See `Target`.
        noise: See `Target`.
        seed: See `Target`.

    Raises:
        ValueError: If a row is no such triple.

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
            raise ValueError("`rows` needs at least one (wave number, amplitude, phase).")
        put(self, rows=rows)

    @property
    def highest(self) -> int:
        """The largest wave number among the rows."""
        return max(k for k, _, _ in self.rows)

    @property
    def frequencies(self) -> tuple[int, ...]:
        """The wave numbers of the rows that are neither constant nor of amplitude 0."""
        return tuple(sorted({k for k, amplitude, _ in self.rows if k and amplitude}))

    def clean(self, x: np.ndarray) -> np.ndarray:
        """Return the sum at `x`."""
        rate = 2 * np.pi / self.length
        return sum(
            (a * np.sin(rate * k * x + phase) for k, a, phase in self.rows), np.zeros_like(x)
        )

    def coefficients(self, frequencies: ArrayLike) -> np.ndarray:
        """Return the exact Fourier coefficients; see `Target.coefficients`."""
        k = wave_numbers(frequencies)
        return sum(
            (np.where(k == own, self._sine(k, a, phase), 0.0) for own, a, phase in self.rows),
            np.zeros(k.shape, dtype=complex),
        )


@dataclass(frozen=True)
class _Wave(Target):
    """A wave form that repeats `wave_number` times over the domain and starts over at x = 0."""

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
        """The fundamental; its multiples fall off without end."""
        return self.wave_number

    def _fraction(self, x: np.ndarray) -> np.ndarray:
        # Rounded, so that a point on a jump falls on the same side whatever its last digit.
        return np.mod(np.round(self.wave_number * self._turns(x), 9), 1.0)

    def _harmonic(self, k: np.ndarray) -> np.ndarray:
        """Which multiple of the fundamental k is; 0 where it is none."""
        return np.where(k % self.wave_number == 0, k // self.wave_number, 0)


@dataclass(frozen=True)
class Square(_Wave):
    """A square wave with the sign of sin(2πkx/L): its odd harmonics fall off like 1/m.

    Args:
        wave_number: Periods over the domain. Default 1.
        amplitude: Height. Default 1.
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
        """Return the wave at `x`."""
        return np.where(self._fraction(x) < 0.5, self.amplitude, -self.amplitude)

    def coefficients(self, frequencies: ArrayLike) -> np.ndarray:
        """Return the exact Fourier coefficients; see `Target.coefficients`."""
        k = wave_numbers(frequencies)
        m = self._harmonic(k)
        size = np.where(m % 2 == 1, 4 * self.amplitude / (np.pi * np.maximum(m, 1)), 0.0)
        return self._sine(k, size, 0.0)


@dataclass(frozen=True)
class Sawtooth(_Wave):
    """A wave that rises from -1 to 1 over each period, through 0 at x = 0, and falls at once.

    Args:
        wave_number: Periods over the domain. Default 1.
        amplitude: Height. Default 1.
        domain: See `Target`.
        noise: See `Target`.
        seed: See `Target`.

    Example:
        >>> import numpy as np
        >>> (Sawtooth()([[-1.0], [2.0]]) * np.pi).round(6).tolist()
        [[-1.0], [2.0]]
    """

    def clean(self, x: np.ndarray) -> np.ndarray:
        """Return the wave at `x`."""
        return self.amplitude * (2 * np.mod(self._fraction(x) + 0.5, 1.0) - 1)

    def coefficients(self, frequencies: ArrayLike) -> np.ndarray:
        """Return the exact Fourier coefficients; see `Target.coefficients`."""
        k = wave_numbers(frequencies)
        m = self._harmonic(k)
        sign = np.where(m % 2 == 1, 1.0, -1.0)
        size = np.where(m > 0, 2 * self.amplitude * sign / (np.pi * np.maximum(m, 1)), 0.0)
        return self._sine(k, size, 0.0)


@dataclass(frozen=True)
class Step(Target):
    """A step from 0 up to 1; where the domain starts over it falls back.

    Args:
        position: Where it rises, as a fraction of the domain. Default 0.5, the middle.
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
            raise ValueError(f"`position` is a fraction between 0 and 1, got {position}.")
        put(self, position=position)

    def clean(self, x: np.ndarray) -> np.ndarray:
        """Return the step at `x`."""
        return np.where(np.round((x - self.domain[0]) / self.length, 9) >= self.position, 1.0, 0.0)

    def coefficients(self, frequencies: ArrayLike) -> np.ndarray:
        """Return the exact Fourier coefficients; see `Target.coefficients`."""
        k = wave_numbers(frequencies)
        rise = 1 - np.exp(-2j * np.pi * k * self.position)
        return np.where(k == 0, 1 - self.position, 1j * rise / (np.pi * np.maximum(k, 1)))


@dataclass(frozen=True)
class Chirp(Target):
    """A sine whose wave number changes evenly from one end of the domain to the other.

    It is not periodic in general, so its spectrum leaks; see `spectra.leakage`.

    Args:
        first: Wave number at the start. Default 1.
        last: Wave number at the end. Default 20.
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
            raise ValueError(f"Wave numbers are 0 or more, got {first} to {last}.")
        put(self, first=first, last=last)

    @property
    def highest(self) -> int:
        """The wave number at the faster end, rounded up."""
        return math.ceil(max(self.first, self.last))

    def clean(self, x: np.ndarray) -> np.ndarray:
        """Return the chirp at `x`."""
        turn = (x - self.domain[0]) / self.length
        return np.sin(2 * np.pi * (self.first * turn + (self.last - self.first) * turn**2 / 2))


@dataclass(frozen=True)
class Function(Target):
    """Any function of an array, elementwise.

    In JSON it stands with its name and a fingerprint of its values, which tell two functions
    apart and do not bring one back: text from a file is never run.

    Args:
        function: Takes an array of positions and returns as many values.
        domain: See `Target`.
        noise: See `Target`.
        seed: See `Target`.

    Raises:
        ValueError: If it does not return one finite number a position.

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
            raise ValueError(f"`function` must be callable, got {self.function!r}.")
        self.clean(self.grid(_FINGERPRINT_POINTS))

    def clean(self, x: np.ndarray) -> np.ndarray:
        """Return the function's values at `x`."""
        values = np.asarray(self.function(x), dtype=np.float64)
        if values.shape != x.shape or not np.isfinite(values).all():
            raise ValueError(
                f"A target returns one finite number a position: for positions of shape {x.shape} "
                f"'{_name(self.function)}' gave {_seen(values)}."
            )
        return values

    def to_dict(self) -> dict[str, Any]:
        """Return the name and a fingerprint of the function, and the other settings."""
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
    """A function typed as a formula of x, such as `sin(x) + 0.3*sin(3*x)`.

    The formula is read against a list of what it may hold and never run as Python (see
    `formulas`), so it may come from a stranger, and JSON brings it back.

    Args:
        formula: The text.
        domain: See `Target`.
        noise: See `Target`.
        seed: See `Target`.

    Raises:
        ValueError: If the text is no formula of x, or one that is constant, not finite or beyond
            a million on the domain; the message is a sentence for whoever typed it.

    Example:
        >>> Expression("1 + x^2")([[0.0], [2.0]]).tolist()
        [[1.0], [5.0]]
    """

    formula: str

    def __post_init__(self) -> None:
        super().__post_init__()
        if not isinstance(self.formula, str):
            raise ValueError(f"`formula` must be a text, got {self.formula!r}.")
        values = self.clean(self.grid(_FORMULA_POINTS))
        if np.ptp(values) <= 1e-9:
            raise ValueError("This function is constant: there is nothing to learn.")

    def clean(self, x: np.ndarray) -> np.ndarray:
        """Return the formula's values at `x`."""
        return formulas.evaluate(self.formula, x)


_KINDS: dict[str, type[Target]] = {
    kind.__name__: kind for kind in (SineSum, Square, Sawtooth, Step, Chirp, Expression)
}


def target_from_dict(settings: dict[str, Any]) -> Target:
    """Return the target that `Target.to_dict` described.

    Args:
        settings: What `to_dict` gave, before or after JSON.

    Raises:
        ValueError: If it describes no target, or a Python function.

    Example:
        >>> import json
        >>> target_from_dict(json.loads(json.dumps(Step().to_dict()))) == Step()
        True
    """
    if not isinstance(settings, dict):
        raise ValueError(f"A target is described by a dict with its 'kind', got {settings!r}.")
    values = dict(settings)
    kind = values.pop("kind", None)
    if kind == "Function":
        raise ValueError(
            f"The function '{values.get('function')}' is not kept in JSON, only its name is: "
            "build `Function(...)` with the function itself."
        )
    if kind not in _KINDS:
        raise ValueError(f"There is no target '{kind}'; there are {', '.join(_KINDS)}.")
    known = {field.name for field in dataclasses.fields(_KINDS[kind])}
    unknown = sorted(set(values) - known)
    if unknown:
        raise ValueError(
            f"{kind} has no setting '{unknown[0]}'; it has {', '.join(sorted(known))}."
        )
    try:
        return _KINDS[kind](**values)
    except TypeError as error:
        raise ValueError(f"These are no settings of {kind}: {settings!r} ({error}).") from error


def default_target(*, noise: float = 0.0, seed: int = 0) -> SineSum:
    """Return sin x + 1/3 sin 3x + 1/10 sin 10x + 1/30 sin 30x on [-π, π).

    Args:
        noise: Standard deviation of added noise. Default 0.
        seed: Seed of that noise. Default 0.

    Example:
        >>> default_target().frequencies
        (1, 3, 10, 30)
    """
    return SineSum([(k, 1 / k, 0.0) for k in (1, 3, 10, 30)], noise=noise, seed=seed)


def spectral_bias_target(
    seed: int = 0, amplitudes: Literal["equal", "rising"] = "equal", *, noise: float = 0.0
) -> SineSum:
    """Return the target by which Rahaman et al. showed that low frequencies are learned first.

    Ten sinusoids A_k sin(2πkt + φ_k) with k = 5, 10 … 50 on [0, 1), the phases uniform in
    [0, 2π). The scale of the input is part of the target: it changes how fast a network learns.

    Args:
        seed: Seed of the phases, and of the noise.
        amplitudes: "equal" for 1 each, or "rising" for k/50, from 0.1 at the lowest to 1.
        noise: Standard deviation of added noise. Default 0.

    Raises:
        ValueError: If `amplitudes` is neither.

    Reference:
        Rahaman et al., On the Spectral Bias of Neural Networks, ICML 2019, arXiv 1806.08734.

    Example:
        >>> spectral_bias_target(0).frequencies
        (5, 10, 15, 20, 25, 30, 35, 40, 45, 50)
    """
    if amplitudes not in ("equal", "rising"):
        raise ValueError(f'`amplitudes` is "equal" or "rising", got {amplitudes!r}.')
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
        raise ValueError(f"A row is (wave number, amplitude, phase), got {row!r}.") from None
    return whole("wave number", k, 0), finite("amplitude", amplitude), finite("phase", phase)


def _name(function: Any) -> str:
    kind = type(function)
    return ".".join(
        (
            getattr(function, "__module__", kind.__module__),
            getattr(function, "__qualname__", kind.__qualname__),
        )
    )


def _seen(values: np.ndarray) -> str:
    return f"an array of shape {values.shape}" if np.isfinite(values).all() else "NaN or infinity"
