"""Reads samples into memory, given as arrays or as a data set."""

from __future__ import annotations

import contextlib
import dataclasses
import itertools
import random
import sys
import warnings
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import keras
import numpy as np

MOST_BYTES = 2 * 2**30
# Without `steps`, at most this many batches are read, so that an endless data set soon gives an
# error. `steps` may be larger.
MOST_BATCHES = 100_000
_INFINITE = -1  # tf.data.INFINITE_CARDINALITY

Batch = tuple[Any, Any, Any]


@dataclasses.dataclass(frozen=True)
class Samples:
    """Samples in memory, as NumPy arrays.

    Attributes:
        parts: A triple (inputs, targets, weights) for each shape of samples. Targets and weights
            may be `None`. Each may be an array, or a list, tuple or dict of arrays.
    """

    parts: tuple[Batch, ...]

    @property
    def count(self) -> int:
        """Returns the number of samples."""
        return sum(length(*part) for part in self.parts)


def read(x: Any, y: Any = None, sample_weight: Any = None, steps: int | None = None) -> Samples:
    """Reads samples into memory, so that each evaluation of a loss sees the same samples.

    A data set is read once, batch after batch (a `PyDataset` without its workers), into at most
    2 GiB (`MOST_BYTES`). While its batches are joined, this takes twice the memory. Without `steps`
    a data set may have up to 100,000 batches (`MOST_BATCHES`). The random states of Python, NumPy
    and torch are restored afterwards, so that reading does not change random numbers drawn later.
    But a data set may have a random state of its own, such as the order of a shuffled
    `tf.data.Dataset`. This state advances, as with every iteration over the data set.

    Args:
        x: Inputs: an array, or a list, tuple or dict of arrays. Or a data set of batches `x`,
            `(x, y)` or `(x, y, sample_weight)`: a `tf.data.Dataset`, a `keras.utils.PyDataset`, a
            torch `DataLoader`, a generator, or any other object that yields batches. Or `Samples`,
            which are returned unchanged.
        y: Targets; only together with arrays.
        sample_weight: Weights of the samples; only together with arrays.
        steps: Number of batches to read from a data set. Defaults to `None`: all batches.

    Returns:
        The samples. Floating point numbers have the type `keras.config.floatx()`.

    Raises:
        ValueError: If `x` is `None`, or neither arrays nor a data set, arrays have different
            lengths, there are no samples, or a data set is endless or too large for the memory; or
            if `y` or `sample_weight` are given together with a data set, or `steps` together with
            arrays.

    Example:
    >>> samples = read(((np.ones((2, 3)), np.zeros(2)) for _ in range(5)), steps=4)
    >>> samples.count, samples.parts[0][0].shape
    (8, (8, 3))
    """
    if x is None:
        raise ValueError(
            "Received no data. Pass `x`, the inputs: arrays, or a data set that yields batches."
        )
    given = [
        name for name, value in (("y", y), ("sample_weight", sample_weight)) if value is not None
    ]
    if isinstance(x, Samples) or _is_data_set(x):
        if given:
            raise ValueError(
                f"Received {' and '.join(f'`{name}`' for name in given)} together with a data set "
                f"({type(x).__name__}). Put targets and weights into the batches of the data set, "
                "as (x, y) or (x, y, sample_weight)."
            )
        return x if isinstance(x, Samples) else Samples(_read_batches(x, _checked(steps, x)))
    if steps is not None:
        raise ValueError(
            f"`steps` counts the batches of a data set, and cannot be used with arrays; received "
            f"steps={steps!r} and `x` of type {type(x).__name__}. Leave `steps` out, and pass "
            "fewer samples if you want fewer."
        )
    part = _as_batch(x, y, sample_weight)
    if length(*part) == 0:
        raise ValueError("Received arrays without samples; at least one sample is needed.")
    return Samples((part,))


def length(x: Any, y: Any, sample_weight: Any) -> int:
    """Returns the number of samples, which must be the same in all arrays.

    Raises:
        ValueError: If arrays have different numbers of samples, or there are no arrays.
    """
    lengths = {
        name: sorted({len(array) for array in keras.tree.flatten(values) if array is not None})
        for name, values in (("x", x), ("y", y), ("sample_weight", sample_weight))
    }
    counts = {length for found in lengths.values() for length in found}
    if len(counts) != 1:
        named = ", ".join(
            f"{name} {' and '.join(map(str, found))}" for name, found in lengths.items() if found
        )
        raise ValueError(
            f"All arrays must have the same number of samples; received {named or 'no arrays'}."
        )
    return counts.pop()


# Arrays.


def _as_batch(x: Any, y: Any, sample_weight: Any) -> Batch:
    batch = _as_arrays(x), _as_arrays(y), _as_arrays(sample_weight)
    length(*batch)
    return batch


def _as_arrays(values: Any) -> Any:
    """Converts values to arrays as `fit` would: floating point numbers in Keras' precision."""
    # A list of numbers becomes one array. A list of arrays stays a list.
    leaves = keras.tree.flatten(values)
    several = isinstance(values, Mapping) or any(len(getattr(v, "shape", ())) for v in leaves)
    return keras.tree.map_structure(_as_array, values) if several else _as_array(values)


def _as_array(values: Any) -> np.ndarray | None:
    """Copies values to an array: a generator may reuse the same array for its next batch."""
    if values is None:
        return None
    values = _on_host(values)
    is_array = isinstance(values, (list, tuple)) or hasattr(values, "__array__")
    array = np.asarray(values if is_array else None)
    texts = array.dtype == object and all(isinstance(v, (str, bytes)) for v in array.flat)
    if array.ndim == 0 or (array.dtype == object and not texts):
        raise ValueError(
            "The data must be arrays whose first axis counts samples, lists or dicts of such "
            "arrays, or a data set that yields batches of them, for example a tf.data.Dataset, a "
            f"keras.utils.PyDataset or a torch DataLoader; received {type(values).__name__}."
        )
    return array.astype(keras.config.floatx() if array.dtype.kind == "f" else array.dtype)


def _on_host(values: Any) -> Any:
    if keras.ops.is_tensor(values):
        return keras.ops.convert_to_numpy(values)
    if hasattr(values, "detach"):  # a torch tensor, on another backend
        return values.detach().cpu()
    return values.toarray() if hasattr(values, "toarray") else values  # a SciPy sparse matrix


# Data sets.


def _is_data_set(x: Any) -> bool:
    """Returns whether `x` is an object that yields batches, and not arrays."""
    arrays = isinstance(x, (list, tuple, Mapping, str, bytes)) or hasattr(x, "shape")
    return isinstance(x, Iterable) and not arrays


def _checked(steps: int | None, data: Any) -> int | None:
    if steps is None:
        if _may_be_endless(data):
            raise ValueError(
                f"Received a data set ({type(data).__name__}) that may be endless. Pass `steps`, "
                "the number of batches to read. (A function whose `steps` means something else, or "
                "that lacks it, takes an `Objective(model, data, steps=...)`.)"
            )
        return None
    if isinstance(steps, bool) or not isinstance(steps, (int, np.integer)) or steps < 1:
        raise ValueError(f"`steps` must be a number of batches, 1 or more; received {steps!r}.")
    return int(steps)


def _may_be_endless(data: Any) -> bool:
    """Returns whether a data set is endless, or is a generator, whose end is not known."""
    if isinstance(data, Iterator):
        return True
    if isinstance(data, keras.utils.PyDataset):
        return data.num_batches is None
    cardinality = getattr(data, "cardinality", None)  # of tf.data.Dataset
    return callable(cardinality) and int(cardinality()) == _INFINITE


def _read_batches(data: Any, steps: int | None) -> tuple[Batch, ...]:
    by_shape: dict[Any, list[Batch]] = {}
    batches = size = 0
    with _random_states_kept():
        for batch in itertools.islice(data, steps):
            arrays = _as_batch(*_unpacked(batch))
            by_shape.setdefault(_form(arrays), []).append(arrays)
            batches += 1
            size += sum(a.nbytes for a in keras.tree.flatten(arrays) if a is not None)
            if size > MOST_BYTES or (steps is None and batches > MOST_BATCHES):
                raise ValueError(
                    f"Received a data set that is too large: at most {MOST_BYTES / 2**30:g} GiB "
                    f"and {MOST_BATCHES:,} batches are read into memory, and its first {batches} "
                    "batches exceed this. Pass `steps`, the number of batches to read."
                )
    _check_forms(by_shape)
    parts = tuple(map(_joined, by_shape.values()))
    parts = tuple(part for part in parts if length(*part))
    if not parts:
        raise ValueError("Received a data set without samples; at least one sample is needed.")
    if steps is not None and batches < steps:
        warnings.warn(
            f"The data set ended after {batches} batches, but `steps` is {steps}. The loss is "
            f"computed from these {batches} batches.",
            stacklevel=2,
        )
    return parts


def _unpacked(batch: Any) -> Batch:
    if isinstance(batch, (list, tuple)) and not 1 <= len(batch) <= 3:
        raise ValueError(
            "A batch must be `x`, `(x,)`, `(x, y)` or `(x, y, sample_weight)`; received a "
            f"{type(batch).__name__} with {len(batch)} elements."
        )
    return keras.utils.unpack_x_y_sample_weight(batch)


def _form(batch: Batch) -> tuple[Any, ...]:
    """Returns the structure and shapes of a batch; batches with an equal form can be joined."""
    paths = keras.tree.flatten_with_path(batch)
    return tuple((path, None if a is None else a.shape[1:]) for path, a in paths)


def _check_forms(forms: Iterable[Any]) -> None:
    kinds = {tuple((path, shape is None) for path, shape in form): None for form in forms}
    if len(kinds) > 1:
        names = [_described(kind) for kind in kinds]
        raise ValueError(
            "All batches of a data set must have the same inputs, targets and weights; received "
            f"batches with {' and '.join(names)}."
        )


def _described(kind: Iterable[tuple[Any, bool]]) -> str:
    def name(path: tuple[Any, ...]) -> str:
        return "/".join([("x", "y", "sample_weight")[path[0]], *map(str, path[1:])])

    return "(" + ", ".join(name(path) for path, absent in kind if not absent) + ")"


def _joined(batches: list[Batch]) -> Batch:
    def join(*arrays: Any) -> Any:
        return None if arrays[0] is None else np.concatenate(arrays)

    return keras.tree.map_structure(join, *batches)


@contextlib.contextmanager
def _random_states_kept() -> Iterator[None]:
    """Restores the global random states afterwards.

    A torch `DataLoader`, for example, draws from torch's global state in each pass.
    """
    torch = sys.modules.get("torch")
    of_python, of_numpy = random.getstate(), np.random.get_state()
    with torch.random.fork_rng(devices=[]) if torch else contextlib.nullcontext():
        try:
            yield
        finally:
            random.setstate(of_python)
            np.random.set_state(of_numpy)
