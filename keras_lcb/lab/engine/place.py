"""Where a lab's networks are made and trained: in this process, or in one that serves many labs."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Protocol

from keras_lcb.lab.declaration import Declaration

if TYPE_CHECKING:
    from keras_lcb.lab.engine.layers_training import LayersTraining
    from keras_lcb.lab.engine.remote import RemoteTraining


class Place(Protocol):
    """Makes and trains the networks of a lab."""

    @property
    def ready(self) -> bool:
        """Whether networks can be made now; otherwise only their outlines are known."""

    def training(self, settings: Any, seed: int) -> LayersTraining | RemoteTraining:
        """Returns a new training, once that is possible."""

    def untrained(self, settings: Any) -> Any:
        """Returns the view before training; only its outline while `ready` is false."""

    def when_ready(self, then: Callable[[], None]) -> None:
        """Calls a function in another thread as soon as `ready` becomes true.

        It does nothing if `ready` is true already.
        """


class Here:
    """Makes and trains networks in this process."""

    ready = True

    def __init__(self, declared: Declaration) -> None:
        self.training = declared.engine
        self.untrained = declared.untrained

    def when_ready(self, then: Callable[[], None]) -> None:
        """Does nothing, since this place is always ready."""


def place_of(declared: Declaration) -> Place:
    """Returns the place of a lab: the server's process for training, if there is one."""
    from keras_lcb.lab.engine.remote import ADDRESS, There

    return There(declared) if os.environ.get(ADDRESS) else Here(declared)
