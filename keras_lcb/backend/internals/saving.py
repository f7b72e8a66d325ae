"""Private names of Keras with which a model's whole state is written to memory."""

from __future__ import annotations

import io
import warnings

import keras
from keras.src.saving import saving_lib

_SKIPPED = "Skipping variable loading for optimizer"


def state_in_memory(model: keras.Model) -> io.BytesIO:
    """Returns what `model.save_weights` would write: weights, optimizers and metrics, as HDF5.

    HDF5 cannot even close a file when the disk is full, so that a file is no place to write it to.
    Unlike `save_weights`, this also works for models without a `call` of their own.
    """
    content = io.BytesIO()
    store = saving_lib.H5IOStore(content, mode="w")
    saving_lib._save_state(
        model, weights_store=store, assets_store=None, inner_path="", visited_saveables=set()
    )
    store.close()
    return content


def load_state(model: keras.Model, content: io.BytesIO) -> str | None:
    """Sets a model's weights, optimizers and metrics to what `state_in_memory` returned.

    Returns:
        What could not be set, in Keras' words; `None` if everything was.
    """
    optimizer = getattr(model, "optimizer", None)
    problem = _load(model, content)
    if problem and _SKIPPED in problem and optimizer is not None and not optimizer.built:
        optimizer.build(model.trainable_variables)
        problem = _load(model, content)
    return problem


def _load(model: keras.Model, content: io.BytesIO) -> str | None:
    messages: dict[int, tuple[object, Exception]] = {}
    content.seek(0)
    store = saving_lib.H5IOStore(content, mode="r")
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        saving_lib._load_state(
            model,
            weights_store=store,
            assets_store=None,
            inner_path="",
            visited_saveables=set(),
            failed_saveables=set(),
            error_msgs=messages,
        )
    store.close()
    problems = [f"{thing}: {error}" for thing, error in messages.values()]
    problems += [str(each.message) for each in said if _SKIPPED in str(each.message)]
    return " ".join(problems) or None


def start_at(model: keras.Model, epoch: int | None) -> None:
    """Has the `fit` that is beginning start at an epoch; `None` leaves that to its arguments."""
    model._initial_epoch = epoch
