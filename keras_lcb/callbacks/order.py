"""Which callbacks Keras calls before another one."""

from __future__ import annotations

import inspect

import keras


def callbacks_before(callback: keras.callbacks.Callback) -> list[keras.callbacks.Callback]:
    """Returns the callbacks that Keras calls before this one.

    Keras does not tell a callback which list it belongs to. But the list calls `set_model` and
    `on_train_begin`, so it is found among the callers.
    """
    frame = inspect.currentframe()
    while frame is not None:
        caller = frame.f_locals.get("self")
        if isinstance(caller, keras.callbacks.CallbackList) and callback in caller.callbacks:
            return caller.callbacks[: caller.callbacks.index(callback)]
        frame = frame.f_back
    return []
