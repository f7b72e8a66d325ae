"""How many updates a run has seen, read from the optimisers that make them."""

from __future__ import annotations

from typing import Any

import keras

from keras_lcb.training import ops


class UpdateCount:
    """Counts the updates that were applied, across `fit` calls and optimisers.

    An optimiser may have a past when it comes, and another may follow it: the count goes on from
    where it was. Asking costs a transfer from the device, so `may_have_reached` says when it can
    be saved.
    """

    def __init__(self) -> None:
        self.optimizer: Any = None
        self._model: Any = None
        self._origin: int | None = None  # iterations of the optimiser at `_base` updates
        self._base = 0
        self._most_at_once = 1  # most updates seen in one such step
        self._read_at = 0, 0  # batch of the epoch, updates

    def follow(self, model: keras.Model, optimizer: Any) -> None:
        """Counts this optimiser's updates; from `begin` on if it is a new one."""
        if optimizer is not self.optimizer:
            if self._origin is not None:
                self._base = self.now()
            self._origin = None
        self._model, self.optimizer = model, optimizer

    def begin(self) -> bool:
        """Begins to count; returns whether the optimiser is a new one."""
        if self._origin is not None:
            return False
        self._origin = self._iterations()
        return True

    def state(self) -> dict[str, int]:
        """What another process needs to go on with the count."""
        return {"origin": self._origin or 0, "base": self._base}

    def restore(self, state: dict[str, int]) -> None:
        """Goes on with the count of another process."""
        self._origin, self._base = state["origin"], state["base"]

    def now(self) -> int:
        """Updates so far."""
        origin = self._iterations() if self._origin is None else self._origin
        return self._iterations() - origin + self._base

    # Within an epoch.

    def at_batch(self, batch: int) -> int:
        """Updates so far, after `batch` batches of the epoch."""
        updates = self.now()
        steps = self._steps_since(batch)
        if steps > 0:
            self._most_at_once = max(self._most_at_once, -(-(updates - self._read_at[1]) // steps))
        self._read_at = batch, updates
        return updates

    def may_have_reached(self, updates: int, batch: int) -> bool:
        """Whether there can be so many updates after `batch` batches, without asking the device."""
        return self._read_at[1] + self._steps_since(batch) * self._most_at_once >= updates

    @property
    def steps_per_update(self) -> int:
        """Batches whose gradients are accumulated for one update."""
        return getattr(inner(self.optimizer), "gradient_accumulation_steps", None) or 1

    def _steps_since(self, batch: int) -> int:
        return -(-(batch - self._read_at[0]) // self.steps_per_update)

    def _iterations(self) -> int:
        if keras.backend.backend() == "jax":
            self._model.jax_state_sync()  # in mid-epoch the state is not in its variables
        return int(ops.on_host(self.optimizer.iterations))


def inner(optimizer: Any) -> Any:
    """The optimiser that makes the updates, without a loss scaler around it."""
    return getattr(optimizer, "inner_optimizer", optimizer)
