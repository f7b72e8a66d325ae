"""How many updates a run has seen, read from the optimizers that make them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras

from keras_lcb.backend import internals


class UpdateCount:
    """Counts the updates that all followed optimizers applied, across `fit` calls.

    An optimizer may have a past when it comes, and another may follow it: the count goes on from
    where it was. Asking costs a transfer from the device, so `may_have_reached` says when it can
    be saved.
    """

    def __init__(self) -> None:
        self.optimizers: list[Any] = []
        self._model: Any = None
        self._origins: list[int] | None = None  # iterations of each optimizer at `_base` updates
        self._base = 0
        self._stepped: list[bool] = []
        self._most_at_once = 0  # most updates seen in one execution of the step; 0 for unknown
        self._read_at = 0, 0  # executions, updates

    def follow(self, model: keras.Model, optimizers: Sequence[Any]) -> None:
        """Counts the updates of these optimizers; from `begin` on if they are new."""
        same = len(optimizers) == len(self.optimizers) and all(
            a is b for a, b in zip(optimizers, self.optimizers, strict=True)
        )
        if not same:
            if self._origins is not None:
                self._base = self.now()
            self._origins = None
        self._model, self.optimizers = model, list(optimizers)

    def begin(self) -> bool:
        """Begins to count; returns whether the optimizers are new ones."""
        if self._origins is not None:
            return False
        self._origins = self._iterations()
        return True

    def state(self) -> dict[str, Any]:
        """What another process needs to go on with the count."""
        return {"origin": self._origins or [0], "base": self._base}

    def restore(self, state: dict[str, Any]) -> None:
        """Goes on with the count of another process."""
        origins = state["origin"]
        self._origins = list(origins) if isinstance(origins, list) else [origins]
        self._base = state["base"]

    def now(self) -> int:
        """Updates so far."""
        now = self._iterations()
        origins = now if self._origins is None else self._origins
        self._stepped = [n > o for n, o in zip(now, origins, strict=False)]
        return sum(now) - sum(origins) + self._base

    @property
    def stepped(self) -> list[bool]:
        """For each optimizer, whether it had made updates when the count was last read."""
        known = self._stepped if len(self._stepped) == len(self.optimizers) else []
        return known or [False] * len(self.optimizers)

    # Within an epoch.

    def at_execution(self, executions: int) -> int:
        """Updates so far, after so many executions of the training step."""
        updates = self.now()
        since = executions - self._read_at[0]
        if since > 0:
            self._most_at_once = max(self._most_at_once, -(-(updates - self._read_at[1]) // since))
        self._read_at = executions, updates
        return updates

    def may_have_reached(self, updates: int, executions: int) -> bool:
        """Whether there can be so many updates by now, without asking the device."""
        since = executions - self._read_at[0]
        unknown = not self._most_at_once
        return unknown or self._read_at[1] + since * self._most_at_once >= updates

    @property
    def steps_per_update(self) -> int:
        """Fewest batches for one update, where gradients are accumulated."""
        return min((optimizer.steps_per_update for optimizer in self.optimizers), default=1)

    def _iterations(self) -> list[int]:
        internals.sync_state(self._model)  # in mid-epoch the state is not in its variables
        return [optimizer.iterations() for optimizer in self.optimizers]
