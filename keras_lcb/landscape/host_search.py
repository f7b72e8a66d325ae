"""Connects a search on the host with the compiled program that multiplies vectors for it.

The search is Python code. It decides which vectors to multiply by the Hessian next. The program
computes the products on the device. All products at the same weights share one forward and one
backward pass. The program therefore stays in a compiled loop: after each round of products it calls
`resume` on the host, which returns the next vectors. So the shared passes are computed once.

    host (Python)                                      device (compiled program)

    search yields vectors
    HostSearch.request      ── program(request) ──▶    forward and backward pass
                                                       loop:
    resume: search.send     ◀── products ──              multiply the vectors
    search yields vectors   ── next vectors ──▶          ... again, while there are vectors
    search has ended        ── no vectors ──▶          end of the loop: the program returns

TensorFlow and torch work like this. A program on JAX computes one round of products and returns
them, and the host calls the program again for the next round.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Generator, Sequence
from typing import Any, NamedTuple

import numpy as np

# One vector for each block of the Hessian; `None` for a block that has nothing to multiply.
Vectors = list[np.ndarray | None]
Search = Generator[Vectors | None, Vectors, None]


class Request(NamedTuple):
    """What a search asks a program to compute.

    Attributes:
        vector: The vectors of all blocks, joined into one; zeros for inactive blocks.
        active: A boolean for each block: whether its vector is to be multiplied.
        wants_gradients: Whether the search wants the gradients of the blocks instead of products.
        search_id: The number under which `resume` finds the search.
        factor: What the loss is multiplied by before it is differentiated, see `loss_scale`.
    """

    vector: Any
    active: Any
    wants_gradients: Any
    search_id: Any
    factor: Any


# Python handles Ctrl-C only between two programs, so a program returns after this time.
_SECONDS_PER_PROGRAM = 1.0

_running: dict[int, HostSearch] = {}
_ids = itertools.count()


def resume(search_id: Any, results: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Gives results to a search, and returns which vectors the program multiplies next.

    A compiled program outlives the searches that use it. It therefore calls this function and
    names the search by its number.

    Args:
        search_id: The number of the search, from its `Request`.
        results: The products, or gradients, of all blocks, joined into one vector. Values of
            inactive blocks are ignored.

    Returns:
        `vector` and `active` of the next `Request`. No block is active when the search has ended,
        or when the program has to return to the host for a moment.
    """
    return _running[int(search_id)].resume(results)


class HostSearch:
    """A search on the host, together with the request that it waits for.

    Use it as a context. If the search raises an exception, the request becomes empty, so that the
    program ends normally. The exception is raised when the context ends. Raised inside the
    program, it would reach the caller as another exception of the backend.

    Args:
        search: A generator that yields lists with one vector for each block, or `None` for a
            block that has nothing to multiply. It receives a list of products. If the first
            value that it yields is `None` instead of a list, it receives the gradient of each
            block.
        sizes: Length of the vectors of each block.
        dtype: Type of the vectors.
        factors: Factors for the loss, from the first to the last to try. If results are not
            finite, the search does not receive them, but the same request has the next factor.

    Attributes:
        request: The request that the search waits for.
    """

    request: Request

    def __init__(
        self,
        search: Search,
        sizes: Sequence[int],
        dtype: np.dtype,
        factors: Sequence[float] = (),
    ) -> None:
        self._id = np.int32(next(_ids))
        self._search = search
        ends = itertools.accumulate(sizes)
        self._parts = [slice(end - size, end) for size, end in zip(sizes, ends, strict=True)]
        self._dtype = dtype
        self._factors = list(map(np.float32, factors or (1.0,)))
        self._failure: BaseException | None = None
        self.start_timer()
        self._advance(lambda: next(search))

    def __enter__(self) -> HostSearch:
        _running[int(self._id)] = self
        return self

    def __exit__(self, *failure: Any) -> None:
        del _running[int(self._id)]
        self._search.close()
        if self._failure is not None:
            raise self._failure

    @property
    def is_waiting(self) -> bool:
        """Whether the search waits for products or gradients."""
        return bool(self.request.wants_gradients or self.request.active.any())

    def start_timer(self) -> None:
        """Notes the time at which a program starts."""
        self._started = time.monotonic()

    def receive(self, results: np.ndarray) -> None:
        """Sends the search the results that it has requested, if they are finite."""
        wanted = self.request.active | self.request.wants_gradients
        sent: Vectors = [
            results[part] if wants else None
            for part, wants in zip(self._parts, wanted, strict=True)
        ]
        if len(self._factors) > 1 and not all(np.isfinite(v).all() for v in sent if v is not None):
            del self._factors[0]
            self.request = self.request._replace(factor=self._factors[0])
        else:
            self._advance(lambda: self._search.send(sent))

    def resume(self, results: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Does what the function `resume` describes."""
        factor = self.request.factor
        self.receive(results)
        in_time = time.monotonic() - self._started < _SECONDS_PER_PROGRAM
        may_stay = in_time and factor == self.request.factor  # a program has one factor
        return self.request.vector, self.request.active & may_stay

    def _advance(self, step: Callable[[], Vectors | None]) -> None:
        nothing: Vectors = [None] * len(self._parts)
        yielded: Vectors | None = nothing
        try:
            yielded = step()
        except StopIteration:
            pass
        except BaseException as failure:
            self._failure = failure
        vectors = nothing if yielded is None else yielded
        # A new array each time, because a program may reuse the memory of the previous one.
        joined = np.zeros(self._parts[-1].stop, self._dtype)
        for part, vector in zip(self._parts, vectors, strict=True):
            if vector is not None:
                joined[part] = vector
        active = np.array([vector is not None for vector in vectors])
        self.request = Request(joined, active, yielded is None, self._id, self._factors[0])
