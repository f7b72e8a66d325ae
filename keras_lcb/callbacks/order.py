"""Which callbacks Keras calls before and after another one."""

from __future__ import annotations

import inspect

import keras


def callbacks_before(callback: keras.callbacks.Callback) -> list[keras.callbacks.Callback]:
    """Returns the callbacks that Keras calls before this one, see `callbacks_around`."""
    return callbacks_around(callback)[0]


def callbacks_around(
    callback: keras.callbacks.Callback,
) -> tuple[list[keras.callbacks.Callback], list[keras.callbacks.Callback]]:
    """Returns the callbacks that Keras calls before this one, and those that it calls after it.

    Keras does not tell a callback which list it belongs to. But the list calls `set_model` and
    `on_train_begin`, so it is found among the callers.
    """
    frame = inspect.currentframe()
    while frame is not None:
        caller = frame.f_locals.get("self")
        if isinstance(caller, keras.callbacks.CallbackList) and callback in caller.callbacks:
            place = caller.callbacks.index(callback)
            return caller.callbacks[:place], caller.callbacks[place + 1 :]
        frame = frame.f_back
    return [], []
