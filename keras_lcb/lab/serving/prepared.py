"""Prepares the training that a page would start next, so that Start answers at once."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable
from typing import Any

_STILL_S = 0.3  # without another question; a slider that moves asks many


class Prepared:
    """Makes a training of the settings that were shown last, up to its first record.

    Keras traces a new network for about a second when it makes its first update. A page shows what
    its settings start from, and its user reads, or predicts; so this second passes unnoticed
    before Start. Only one training is prepared at a time, and only while none runs.

    Args:
        make: Makes a training of a lab, by its name and settings.
        idle: Returns whether no training runs.
    """

    def __init__(self, make: Callable[[str, Any], Any], idle: Callable[[], bool]) -> None:
        self._make, self._idle = make, idle
        self._asked = threading.Condition()
        self._wanted: tuple[str, Any] | None = None
        self._working = threading.Lock()  # held while a training is prepared, or taken
        self._ready: tuple[tuple[str, Any], Any] | None = None
        threading.Thread(target=self._work, daemon=True).start()

    def want(self, lab: str, settings: Any) -> None:
        """Asks to prepare a training of these settings. Earlier requests no longer count."""
        with self._asked:
            self._wanted = lab, settings
            self._asked.notify()

    def take(self, lab: str, settings: Any) -> Any:
        """Returns the training of these settings if it is prepared, and `None` otherwise.

        If it is being prepared, this waits for it.
        """
        with self._asked:
            self._wanted = None
            self._asked.notify()
        with self._working:
            known, self._ready = self._ready, None
        return known[1] if known is not None and known[0] == (lab, settings) else None

    def _work(self) -> None:
        while True:
            wanted = self._next()
            with self._working:
                if wanted is None or not self._idle() or (self._ready or [None])[0] == wanted:
                    continue
                self._ready = None
                # Start makes a training that failed here anew, and tells its error.
                with contextlib.suppress(Exception):
                    self._ready = wanted, self._begun(*wanted)

    def _next(self) -> tuple[str, Any] | None:
        """Returns what is wanted when that has not changed for a moment; `None` if taken since."""
        with self._asked:
            self._asked.wait_for(lambda: self._wanted is not None)
            while self._asked.wait(_STILL_S):
                pass
            wanted, self._wanted = self._wanted, None
            return wanted

    def _begun(self, lab: str, settings: Any) -> Any:
        training = self._make(lab, settings)
        training.advance(lambda: training.records > 0)
        return training
