"""How long a record takes, as far as it can be told from those that were taken."""

from __future__ import annotations

import time


class Pace:
    """Measures the time between records, pauses left out.

    Attributes:
        seconds_a_record: The mean time that a record takes, its updates included; `None` if not
            known yet.
    """

    def __init__(self) -> None:
        self.seconds_a_record: float | None = None
        self._since: tuple[float, int] | None = None

    def restart(self) -> None:
        """Measures anew from the next record on, as after a pause or at another speed."""
        self._since = None

    def note(self, records: int) -> None:
        """Notes that there are so many records now."""
        now = time.perf_counter()
        if self._since is None or records < self._since[1]:
            self._since = now, records
        elif records > self._since[1]:
            self.seconds_a_record = (now - self._since[0]) / (records - self._since[1])
