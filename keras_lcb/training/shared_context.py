"""A context that several threads share."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator


class SharedContext:
    """Enters contexts when the first user comes, and leaves them when the last one goes.

    Each replica of a `tf.distribute` strategy runs the training step in a thread of its own, so
    the times in which replicas need a replacement overlap.

    Args:
        enter: A function that enters contexts into the given stack.
    """

    def __init__(self, enter: Callable[[contextlib.ExitStack], None]) -> None:
        self._enter = enter
        self._stack = contextlib.ExitStack()
        self._users = 0

    @contextlib.contextmanager
    def entered(self) -> Iterator[None]:
        """Holds the contexts open."""
        self._users += 1
        try:
            if self._users == 1:
                self._enter(self._stack)
            yield
        finally:
            self._users -= 1
            if not self._users:
                self._stack.close()

    def renew(self) -> None:
        """Leaves the contexts, if they are held open, and enters those of now."""
        if self._users:
            self._stack.close()
            self._enter(self._stack)
