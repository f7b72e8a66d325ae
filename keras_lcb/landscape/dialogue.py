"""A search and the compiled program that multiplies for it: the program asks, the search answers.

Products at the same weights begin with the same passes forward and backward. A program that goes
on from one product to the next takes them once; but what to multiply next is decided on the host.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Generator, Sequence
from typing import Any, NamedTuple

import numpy as np

Vectors = list[np.ndarray | None]
Search = Generator[Vectors | None, Vectors, None]


class Request(NamedTuple):
    """What a program is called with.

    Attributes:
        vector: What is to be multiplied, that of all blocks in a row, zeros where there is nothing.
        asked: Booleans, for which blocks there is something.
        wants_gradients: Whether the search waits for the gradients instead.
        number: By which the program names the dialogue.
    """

    vector: Any
    asked: Any
    wants_gradients: Any
    number: Any


# A program is left that often, since Python hears of Ctrl-C between programs only.
_SECONDS_AT_ONCE = 1.0

_open: dict[int, Dialogue] = {}
_numbers = itertools.count()


def answer(number: Any, found: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """What programs call, which outlive the searches: passes on what they have found.

    Args:
        number: The dialogue's.
        found: Products, or gradients, of all blocks in a row; those not asked for do not matter.

    Returns:
        The vector to be multiplied next, and for which blocks it is. That is none of them where
        the search has ended, or it is time to leave the program.
    """
    return _open[int(number)].answer(found)


class Dialogue:
    """A search, and the vectors whose products it waits for.

    What the search raises ends the dialogue, and is raised when its context is left: a program
    would make another error of it.

    Args:
        search: A generator of lists with a vector for each block, `None` where there is nothing
            to multiply; it is sent lists of products. If it begins with `None` instead of a
            list, it is sent the gradient of each block.
        sizes: Length of each block's vectors.
        dtype: Their type.

    Attributes:
        request: What it waits for.
    """

    request: Request

    def __init__(self, search: Search, sizes: Sequence[int], dtype: np.dtype) -> None:
        self._number = np.int32(next(_numbers))
        self._search = search
        ends = itertools.accumulate(sizes)
        self._parts = [slice(end - size, end) for size, end in zip(sizes, ends, strict=True)]
        self._dtype = dtype
        self._failure: BaseException | None = None
        self.begin()
        self._turn(lambda: next(search))

    def __enter__(self) -> Dialogue:
        _open[int(self._number)] = self
        return self

    def __exit__(self, *failure: Any) -> None:
        del _open[int(self._number)]
        self._search.close()
        if self._failure is not None:
            raise self._failure

    @property
    def goes_on(self) -> bool:
        """Whether the search waits for anything."""
        return bool(self.request.wants_gradients or self.request.asked.any())

    def begin(self) -> None:
        """Notes that a program begins."""
        self._began = time.monotonic()

    def take(self, found: np.ndarray) -> None:
        """Sends the search what it has asked for."""
        wanted = self.request.asked | self.request.wants_gradients
        sent: Vectors = [
            found[part] if asked else None for part, asked in zip(self._parts, wanted, strict=True)
        ]
        self._turn(lambda: self._search.send(sent))

    def answer(self, found: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Takes what was found: see the function of this name."""
        self.take(found)
        goes_on = time.monotonic() - self._began < _SECONDS_AT_ONCE
        return self.request.vector, self.request.asked & goes_on

    def _turn(self, turn: Callable[[], Vectors | None]) -> None:
        nothing: Vectors = [None] * len(self._parts)
        yielded: Vectors | None = nothing
        try:
            yielded = turn()
        except StopIteration:
            pass
        except BaseException as failure:
            self._failure = failure
        vectors = nothing if yielded is None else yielded
        # A copy, since a program may use its memory for something else.
        row = np.zeros(self._parts[-1].stop, self._dtype)
        for part, vector in zip(self._parts, vectors, strict=True):
            if vector is not None:
                row[part] = vector
        asked = np.array([vector is not None for vector in vectors])
        self.request = Request(row, asked, yielded is None, self._number)
