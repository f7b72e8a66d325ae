"""Sums of sinusoids, and the two that the literature and the tutorials use."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

from keras_lcb.synthetic.target import Target, finite, put, wave_numbers, whole


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
