"""Targets that a user gives as a Python function or as a formula."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from keras_lcb.synthetic import formulas
from keras_lcb.synthetic.target import Target

_FINGERPRINT_POINTS = 64

# A power of 2: so this grid holds the points of every smaller grid whose size is a power of 2.
_FORMULA_POINTS = 4096


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
