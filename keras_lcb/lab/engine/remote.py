"""Trainings in another process, which serves the labs of all pages.

So a page needs neither Keras nor its memory, and its pictures do not slow the training down.
`serving/trainer.py` is the other side of the connection. What goes over it is pickled, which is
safe, since both sides are programs of one user and know a secret.
"""

from __future__ import annotations

import contextlib
import functools
import os
import threading
import types
from collections.abc import Callable
from multiprocessing.connection import Client, Connection
from typing import Any

import xarray as xr

from keras_lcb.lab.declaration import Declaration

# Of the environment: where the process listens, and the secret.
ADDRESS, SECRET = "KERAS_LCB_TRAINER", "KERAS_LCB_TRAINER_SECRET"


class There:
    """Makes and trains the networks of a lab in the other process.

    Args:
        declared: The lab's declaration.
    """

    def __init__(self, declared: Declaration) -> None:
        self._declared = declared

    @property
    def ready(self) -> bool:
        """Whether the other process has answered. It does so when it has loaded Keras."""
        return _answers.is_set()

    def training(self, settings: Any, seed: int) -> RemoteTraining:
        """Returns a new training, once the other process answers."""
        return RemoteTraining(self._declared.name, settings, seed)

    def untrained(self, settings: Any) -> Any:
        """Returns the view before training; only its outline while `ready` is false.

        The other process prepares a training of these settings meanwhile.
        """
        if self.ready:
            _asked("prepare", self._declared.name, settings)
        outline = self._declared.outline
        if outline is None:
            return self._declared.untrained(settings)
        if not self.ready:
            return outline(settings)
        return _asked("untrained", self._declared.name, settings)

    def when_ready(self, then: Callable[[], None]) -> None:
        """Calls a function in a thread when the other process answers for the first time."""
        if not self.ready:
            threading.Thread(target=self._wait, args=[then], daemon=True).start()

    def _wait(self, then: Callable[[], None]) -> None:
        with contextlib.suppress(RuntimeError):  # Start will say that it has ended
            _asked("ready")
            _answers.set()
            then()


class RemoteTraining:
    """One training in the other process; the same to its user as a `LayersTraining`.

    Args:
        lab: The name of the lab.
        settings: Its settings.
        seed: The seed.

    Raises:
        RuntimeError: If the training cannot be made; with what the other process says.
    """

    def __init__(self, lab: str, settings: Any, seed: int) -> None:
        self._connection = _connected()
        self._state = _answer(self._connection, "make", lab, settings, seed)
        self.config = types.SimpleNamespace(**self._state["config"])
        self.learning_rate = self._state["learning_rate"]

    def __getattr__(self, name: str) -> Any:
        # records, step, done, news, changes, planned, diverged: as they were at the last record.
        if name.startswith("_") or name not in self._state:
            raise AttributeError(name)
        return self._state[name]

    def advance(self, enough: Callable[[], bool]) -> None:
        """Continues to train until all is done or `enough()` is true; it is asked each record."""
        going = self._answered("advance", self.learning_rate)
        while going:
            going = self._answered(self.learning_rate, enough())

    def _answered(self, *question: Any) -> bool:
        """Returns whether it goes on. A plan of the training may have set another rate there."""
        before = self.learning_rate
        going, self._state = _answer(self._connection, *question)
        if self.learning_rate == before:  # otherwise the user has set one meanwhile
            self.learning_rate = self._state["learning_rate"]
        return going

    def view(self) -> Any:
        """Returns the current view. Any thread may call this."""
        return _asked("view", self._state["key"])

    def run(self) -> xr.Dataset:
        """Returns the run so far, with distances to the newest weights."""
        return _asked("run", self._state["key"])


_answers = threading.Event()
_turn = threading.Lock()


def _connected() -> Connection:
    """Connects to the other process. This waits until Keras is loaded there."""
    secret = bytes.fromhex(os.environ[SECRET])
    try:
        return Client(os.environ[ADDRESS], authkey=secret)
    except (OSError, EOFError) as error:
        raise _gone() from error


@functools.cache
def _asking() -> Connection:
    """Returns the connection for short questions, which all labs of this process share."""
    return _connected()


def _asked(*question: Any) -> Any:
    with _turn:
        return _answer(_asking(), *question)


def _answer(connection: Connection, *question: Any) -> Any:
    try:
        connection.send(question)
        error, answer = connection.recv()
    except (OSError, EOFError) as failure:
        raise _gone() from failure
    if error:
        raise RuntimeError(error)
    return answer


def _gone() -> RuntimeError:
    return RuntimeError(
        "the process that trains has ended, perhaps for want of memory. End `keras-lcb lab` with "
        "Ctrl-C and start it again"
    )
