"""How many updates were made in a run, read from the optimizers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras

from keras_lcb.backend import internals


def most_updates(model: Any, optimizers: Sequence[Any]) -> int:
    """Returns the most updates in one execution of the step, if each batch makes one."""
    batches = getattr(model, "steps_per_execution", 1)
    return sum(-(-batches // optimizer.steps_per_update) for optimizer in optimizers)


class UpdateCount:
    """Counts the updates that all followed optimizers applied, across `fit` calls.

    Updates that an optimizer made before it was followed do not count. If other optimizers are
    followed later, the count continues. Each reading costs a transfer from the device;
    `may_have_reached` helps to avoid needless ones.
    """

    def __init__(self) -> None:
        self.optimizers: list[Any] = []
        self._model: Any = None
        self._origins: list[int] | None = None  # iterations of each optimizer at `_base` updates
        self._base = 0
        self._stepped: list[bool] = []
        self._most_at_once = 0  # the most updates seen in one execution of the step; 0 if unknown
        self._read_at = 0, 0  # executions and updates at the last reading in this epoch

    def follow(self, model: keras.Model, optimizers: Sequence[Any]) -> None:
        """Sets the optimizers whose updates count. New ones count from the next `begin` on."""
        same = len(optimizers) == len(self.optimizers) and all(
            a is b for a, b in zip(optimizers, self.optimizers, strict=True)
        )
        if not same:
            if self._origins is not None:
                self._base = self.now()
            self._origins = None
        self._model, self.optimizers = model, list(optimizers)

    def begin(self) -> bool:
        """Begins to count the updates of new optimizers, and returns whether they are new."""
        if self._origins is not None:
            return False
        self._origins = self._iterations()
        return True

    def state(self) -> dict[str, Any]:
        """Returns what another process needs to continue the count."""
        # Another process reads Keras' own count, with the updates in it that were not made.
        origins = [own + n for own, n in zip(self._origins or [0], self._not_made(), strict=False)]
        return {"origin": origins, "base": self._base}

    def restore(self, state: dict[str, Any]) -> None:
        """Continues the count of another process."""
        kept = state["origin"]
        origins = list(kept) if isinstance(kept, list) else [kept]
        self._origins = [own - n for own, n in zip(origins, self._not_made(), strict=False)]
        self._base = state["base"]

    def now(self) -> int:
        """Returns the number of updates so far."""
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
        """Returns the number of updates so far.

        Args:
            executions: How often the compiled training step has run in this epoch.
        """
        updates = self.now()
        since = executions - self._read_at[0]
        if since > 0:
            self._most_at_once = max(self._most_at_once, -(-(updates - self._read_at[1]) // since))
        self._read_at = executions, updates
        return updates

    def may_have_reached(self, updates: int, executions: int) -> bool:
        """Returns whether the count may have reached `updates`, without reading the device.

        Args:
            updates: The number of updates in question.
            executions: How often the compiled training step has run in this epoch.
        """
        since = executions - self._read_at[0]
        unknown = not self._most_at_once
        most = max(self._most_at_once, most_updates(self._model, self.optimizers))
        return unknown or self._read_at[1] + since * most >= updates

    @property
    def steps_per_update(self) -> int:
        """The number of batches per update; the smallest one if optimizers differ."""
        return min((optimizer.steps_per_update for optimizer in self.optimizers), default=1)

    def _not_made(self) -> list[int]:
        return [optimizer.not_made for optimizer in self.optimizers] or [0]

    def _iterations(self) -> list[int]:
        internals.sync_state(self._model)  # within an epoch, JAX holds the state elsewhere
        return [optimizer.iterations() for optimizer in self.optimizers]
