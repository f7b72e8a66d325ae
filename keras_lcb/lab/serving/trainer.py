"""The process that trains for all pages of the lab's server. See `engine/remote.py`.

The server runs this file by its path, and reads from it where it listens. So it must say that
before it imports what takes long. It ends when the server does.
"""

from __future__ import annotations

import functools
import itertools
import os
import signal
import sys
import threading
from multiprocessing import AuthenticationError
from multiprocessing.connection import Connection, Listener
from typing import Any

_SHOWN = ("records", "step", "done", "news", "changes", "planned", "diverged", "learning_rate")
_CONFIG = ("record_every", "learning_rate")
_trainings: dict[int, Any] = {}
_keys = itertools.count()
_making = threading.Lock()
_running: set[int] = set()  # the trainings that go on now


def main() -> None:
    """Answers all connections until standard input ends, each in a thread."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the server's
    threading.Thread(target=_end_with_the_server, daemon=True).start()
    listener = Listener(authkey=bytes.fromhex(os.environ["KERAS_LCB_TRAINER_SECRET"]))
    print(listener.address, flush=True)
    _load()
    threading.Thread(target=_warm_up, daemon=True).start()
    while True:
        try:
            connection = listener.accept()
        except (AuthenticationError, OSError, EOFError):
            continue  # a stranger, or a page that was closed meanwhile
        threading.Thread(target=_serve, args=[connection], daemon=True).start()


def _end_with_the_server() -> None:
    sys.stdin.buffer.read()
    os._exit(0)  # a thread in TensorFlow would not let it end otherwise


def _load() -> None:
    """Imports what labs train with, and makes the first tensor, which takes long too."""
    from keras_lcb_cli import loading

    with loading():
        importing = threading.Thread(target=_import)
        importing.start()
        importing.join()

        import keras

        keras.ops.convert_to_numpy(keras.ops.zeros(()))


def _import() -> None:
    if sys.platform == "linux":  # where a thread can give way to pages that are drawn meanwhile
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), 10)

    import keras_lcb.lab
    import keras_lcb.lab.engine.training  # noqa: F401


def _warm_up() -> None:
    """Trains for a moment, since the first training takes a second longer to begin."""
    from keras_lcb.lab.settings import Settings

    training = _declared("depth").engine(Settings(depth=1, width=4), 0)
    training.advance(lambda: True)
    training.view()


def _serve(connection: Connection) -> None:
    """Answers the questions of one connection until the page closes it."""
    own: list[int] = []  # the trainings that were made for it
    try:
        while True:
            question = connection.recv()
            try:
                answer = _answer(connection, own, *question)
            except (EOFError, OSError):
                raise
            except Exception as error:  # the page tells it to its user
                connection.send((f"{type(error).__name__}: {error}", None))
            else:
                connection.send(("", answer))
    except (EOFError, OSError):
        for key in own:
            del _trainings[key]


def _answer(connection: Connection, own: list[int], what: str, *given: Any) -> Any:
    match what:
        case "ready":
            return True
        case "untrained":
            lab, settings = given
            return _declared(lab).untrained(settings)
        case "prepare":
            return _prepared().want(*given)
        case "make":
            own.append(_made(*given))
            return _state(own[-1])
        case "advance":
            return _advanced(connection, own[-1], *given)
        case "view":
            return _trainings[given[0]].view()
        case "run":
            return _trainings[given[0]].run()
    raise ValueError(f"unknown question {what!r}")


def _declared(lab: str) -> Any:
    from keras_lcb.lab import Lab

    return Lab.known[lab].declared


def _made(lab: str, settings: Any, seed: int) -> int:
    """Makes a training, or takes the one that is prepared, and returns its key."""
    training = _prepared().take(lab, settings) if seed == settings.seed else None
    key = next(_keys)
    _trainings[key] = training or _new(lab, settings, seed)
    return key


def _new(lab: str, settings: Any, seed: int) -> Any:
    with _making:  # Keras names and seeds what it builds one after the other
        return _declared(lab).engine(settings, seed)


@functools.cache
def _prepared() -> Any:
    from keras_lcb.lab.serving.prepared import Prepared

    return Prepared(lambda lab, settings: _new(lab, settings, settings.seed), lambda: not _running)


def _advanced(connection: Connection, key: int, rate: float) -> tuple[bool, dict[str, Any]]:
    """Trains until the page says that it is enough, which it is asked after each record."""
    training = _trainings[key]

    def enough() -> bool:
        connection.send(("", (True, _state(key))))
        training.learning_rate, stop = connection.recv()
        return bool(stop)

    training.learning_rate = rate
    _running.add(key)
    try:
        training.advance(enough)
    finally:
        _running.discard(key)
    return False, _state(key)


def _state(key: int) -> dict[str, Any]:
    training = _trainings[key]
    shown = {name: getattr(training, name) for name in _SHOWN}
    config = {name: getattr(training.config, name) for name in _CONFIG}
    return {**shown, "changes": list(training.changes), "key": key, "config": config}


if __name__ == "__main__":
    main()
