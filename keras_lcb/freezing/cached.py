"""The outputs of frozen layers for each sample, computed once for many epochs."""

from __future__ import annotations

import os
import pathlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import keras
import numpy as np

from keras_lcb.backend import internals
from keras_lcb.freezing.cut import Cut, between, cut

# Methods that receive the samples, or what is kept of them, as `x`.
_TAKING_X = ("train_step", "compute_loss", "compute_metrics")


class CachedActivations:
    """Keeps the outputs of a model's frozen lower layers, from which the upper layers train.

    Args:
        model: A Functional or Sequential model.
        x: The inputs: an array, or a list or tuple of arrays.
        batch_size: The batch size of training. It is also used here, so that rounding errors are
            the same.
        folder: A folder for the outputs, or `None` to keep them in memory.

    Raises:
        ValueError: If the model cannot be cut, has its own `train_step`, `compute_loss` or
            `compute_metrics`, or `x` is not made of arrays.
    """

    def __init__(
        self,
        model: keras.Model,
        x: Any,
        batch_size: int,
        folder: str | os.PathLike[str] | None = None,
    ) -> None:
        _check_can_be_cut(model)
        self._model, self._batch_size = model, batch_size
        graph = internals.graph_of(model)
        assert graph is not None  # otherwise the check above raises
        self._graph = graph
        self._folder = None if folder is None else pathlib.Path(folder)
        self._tensors: Sequence[Any] = list(self._graph.inputs)
        self._arrays = _arrays(x, self._tensors)
        self._files: list[pathlib.Path] = []
        self._cut: Cut | None = None
        self._stage = 0

    @property
    def x(self) -> Any:
        """Returns what `fit` must receive instead of the inputs."""
        return self._arrays[0] if len(self._arrays) == 1 else tuple(self._arrays)

    @property
    def is_in_use(self) -> bool:
        """Returns whether any outputs are kept."""
        return self._cut is not None

    def advance(self) -> None:
        """Computes the outputs of newly frozen layers from those that were kept before."""
        found = cut(self._model)
        if found is None or (self._cut and _same(found.tensors, self._cut.tensors)):
            return
        self._stage += 1
        lower = _Part(between(self._graph, self._tensors, found.tensors), self._tensors, found)
        lower.check(self._arrays)
        arrays, files = self._computed(lower, found)
        self._delete()
        self._arrays, self._files = arrays, files
        self._tensors, self._cut = found.tensors, found

    def replacements(self) -> dict[str, Any]:
        """Returns replacements for methods of the model, by name, for training on kept outputs."""
        if self._cut is None:
            return {}
        step, call = self._model.train_step, self._upper_part(self._cut)

        def step_on_cached(*args: Any) -> Any:
            with internals.replaced(self._model, internals.calling(self._model, call)):
                return step(*args)

        return {"train_step": step_on_cached}

    def close(self) -> None:
        """Deletes the kept outputs, also on disk."""
        self._arrays = []
        self._delete()

    def _upper_part(self, at: Cut) -> Callable[..., Any]:
        outputs = internals.outputs_of(self._graph)

        def call(inputs: Any, training: bool | None = None, **options: Any) -> Any:
            known = _known(at.tensors, inputs)
            internals.compute(at.above, known, training)
            return keras.tree.map_structure(lambda tensor: known[id(tensor)], outputs)

        return call

    def _computed(self, lower: _Part, at: Cut) -> tuple[list[np.ndarray], list[pathlib.Path]]:
        count, rows = len(self._arrays[0]), self._batch_size
        arrays: list[np.ndarray] = []
        files: list[pathlib.Path] = []
        for first in range(0, count, rows):
            part = [array[first : first + rows] for array in self._arrays]
            # Not `predict`: it draws from torch's random generator, and shuffling would change.
            found = lower.predict_on_batch(tuple(part))
            for number, values in enumerate(found):
                if first == 0:
                    shape = (count, *values.shape[1:])
                    arrays.append(self._empty(number, shape, values.dtype, files))
                arrays[number][first : first + rows] = values
        return arrays, files

    def _empty(
        self, number: int, shape: tuple[int, ...], dtype: np.dtype, files: list[pathlib.Path]
    ) -> np.ndarray:
        if self._folder is None:
            return np.empty(shape, dtype)
        self._folder.mkdir(parents=True, exist_ok=True)
        files.append(self._folder / f"activations_{os.getpid()}_{self._stage}_{number}.npy")
        return np.lib.format.open_memmap(files[-1], "w+", dtype, shape)

    def _delete(self) -> None:
        for path in self._files:
            path.unlink(missing_ok=True)
        self._files = []


class _Part(keras.Model):
    """A part of a network that computes the tensors of a cut from given tensors.

    Args:
        nodes: The calls of operations in this part, each after those that make its inputs.
        given: Symbolic tensors that the part receives.
        at: The cut whose tensors the part returns.
    """

    def __init__(self, nodes: Sequence[Any], given: Sequence[Any], at: Cut) -> None:
        super().__init__(name="frozen_part", autocast=False)
        operations = {id(node.operation): node.operation for node in nodes}.values()
        self.parts = [each for each in operations if isinstance(each, keras.Layer)]
        internals.remember(self, "_nodes_given_cut", (nodes, given, at))

    def call(self, inputs: Any, training: bool | None = None) -> list[Any]:
        """Returns the tensors of the cut, in types that NumPy has and `fit` takes as they are."""
        nodes, given, at = internals.remembered(self, "_nodes_given_cut")
        known = _known(given, inputs)
        internals.compute(nodes, known, training)
        return [_with_plain_dtype(known[id(tensor)]) for tensor in at.tensors]

    def check(self, arrays: Sequence[np.ndarray]) -> None:
        """Checks that the layers return the same in training mode and in evaluation mode.

        Raises:
            ValueError: If they do not.
        """
        few = tuple(array[:2] for array in arrays)
        as_in_training, as_in_evaluation = (
            [keras.ops.convert_to_numpy(value) for value in self(few, training=training)]
            for training in (True, False)
        )
        if not all(map(np.array_equal, as_in_training, as_in_evaluation)):
            raise ValueError(
                "A frozen layer returns different activations in training mode than in evaluation "
                "mode, so they cannot be kept for the next epochs. It may be random, like "
                "augmentation, or update statistics of its own. Leave out `cache`."
            )


def _known(tensors: Sequence[Any], values: Any) -> dict[int, Any]:
    flat = keras.tree.flatten(values)
    pairs = zip(tensors, flat, strict=True)
    return {id(tensor): keras.ops.cast(value, tensor.dtype) for tensor, value in pairs}


def _with_plain_dtype(tensor: Any) -> Any:
    """Returns bfloat16 and float16 as float32, which represents them exactly, and others as is."""
    dtype = keras.backend.standardize_dtype(tensor.dtype)
    low = keras.backend.is_float_dtype(dtype) and dtype not in ("float32", "float64")
    return keras.ops.cast(tensor, "float32") if low else tensor


def _same(one: Sequence[Any], other: Sequence[Any]) -> bool:
    return {id(tensor) for tensor in one} == {id(tensor) for tensor in other}


def _check_can_be_cut(model: keras.Model) -> None:
    for name in _TAKING_X:
        if not internals.is_of_keras(getattr(model, name)):
            raise ValueError(
                f"The model '{model.name}' has its own `{name}`. With `cache`, it would receive "
                "kept activations instead of the samples, and compute something else. Leave out "
                "`cache`."
            )
    if cut(model, if_all_were_frozen=True) is None:
        raise ValueError(
            f"No activations of the model '{model.name}' can be kept: its first layers are random, "
            "like augmentation, or create masks or losses of their own. Leave out `cache`."
        )


def _arrays(x: Any, inputs: Sequence[Any]) -> list[np.ndarray]:
    if isinstance(x, Mapping):
        names = ", ".join(f"'{tensor.name}'" for tensor in inputs)
        raise ValueError(
            "With `cache`, `x` must be an array, or a list with an array for each input; received "
            f"a {type(x).__name__}. Pass its arrays as a list, in the order of `model.inputs`: "
            f"{names}."
        )
    flat = list(x) if isinstance(x, (list, tuple)) else [x]
    known = all(hasattr(each, "shape") and hasattr(each, "__getitem__") for each in flat)
    if not known or len(flat) != len(inputs) or len({len(each) for each in flat}) != 1:
        raise ValueError(
            f"With `cache`, `x` must be an array, or a list of {len(inputs)} arrays of equal "
            f"length, one for each input; received {type(x).__name__}. A data set may return other "
            "samples in each epoch, so activations cannot be kept."
        )
    return [
        _with_rank_of(tensor, keras.ops.convert_to_numpy(each))
        for tensor, each in zip(inputs, flat, strict=True)
    ]


def _with_rank_of(tensor: Any, array: np.ndarray) -> np.ndarray:
    """Gives samples the rank of the model's input, by a last axis of length 1, as Keras does."""
    rank = len(tensor.shape)
    if array.ndim == rank - 1 and tensor.shape[-1] == 1:
        return array[..., np.newaxis]
    if array.ndim == rank + 1 and array.shape[-1] == 1:
        return array[..., 0]
    return array
