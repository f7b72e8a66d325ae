"""Callbacks that cannot begin before the first training step has built the model."""

from __future__ import annotations

from collections.abc import Callable

Function = Callable[[], None]


class Waiting:
    """Functions to be called within the first step, first to attach and then to begin."""

    def __init__(self) -> None:
        self._attaching: list[tuple[Function, Function | None]] = []
        self._beginning: list[Function] = []

    @property
    def is_for_variables(self) -> bool:
        """Whether a function waits until all variables of the model exist."""
        return bool(self._attaching)

    @property
    def is_for_values(self) -> bool:
        """Whether a function waits until the variables have values."""
        return bool(self._beginning)

    def add(self, attach: Function, begin: Function | None) -> None:
        """Adds functions, unless they wait already.

        Args:
            attach: Called when all variables exist.
            begin: Called when the variables have their initial values; or `None`.
        """
        if (attach, begin) not in self._attaching:
            self._attaching.append((attach, begin))

    def attach(self) -> None:
        """Calls the functions that wait for variables."""
        attaching, self._attaching = self._attaching, []
        for attach, begin in attaching:
            attach()
            if begin is not None:
                self._beginning.append(begin)

    def begin(self) -> None:
        """Calls the functions that wait for values."""
        beginning, self._beginning = self._beginning, []
        for begin in beginning:
            begin()
