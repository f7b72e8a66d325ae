"""Samples as `fit` takes them: arrays, or a data set, which is read once."""

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
MOST_BATCHES = 100_000  # unless `steps` asks for more: of what may have no end, this is seen soon
_INFINITE = -1  # tf.data.INFINITE_CARDINALITY

Batch = tuple[Any, Any, Any]


@dataclasses.dataclass(frozen=True)
class Samples:
    """Samples in memory, as NumPy arrays.

    Attributes:
        parts: Inputs, targets and weights, `None` where there are none, of all samples of one
            shape; one such triple for each shape. Arrays may stand in lists, tuples and dicts.
    """

    parts: tuple[Batch, ...]

    @property
    def count(self) -> int:
        """The number of samples."""
        return sum(length(*part) for part in self.parts)


def read(x: Any, y: Any = None, sample_weight: Any = None, steps: int | None = None) -> Samples:
    """Takes samples into memory, so that each evaluation of a loss sees the same ones.

    A data set is read once, batch after batch (a `PyDataset` without its workers), into at most
    2 GiB (`MOST_BYTES`); for a moment that takes twice as much. Without `steps` it may have up to
    100,000 batches (`MOST_BATCHES`). The random states of Python, NumPy and torch are set back
    afterwards, so that what is drawn later is what it would have been. A state that a data set
    has of its own, as the order of a shuffled `tf.data.Dataset`, moves on as it does with each
    iteration.

    Args:
        x: Inputs: an array, or a list, tuple or dict of arrays. Or a data set of batches `x`,
            `(x, y)` or `(x, y, sample_weight)`: a `tf.data.Dataset`, a `keras.utils.PyDataset`, a
            torch `DataLoader`, a generator, or any other object that yields batches. Or `Samples`.
        y: Targets, beside arrays only.
        sample_weight: Weights of the samples, beside arrays only.
        steps: How many batches to take of a data set. Defaults to `None`: all of them.

    Returns:
        The samples, floating point numbers in Keras' precision.

    Raises:
        ValueError: If the data are of another kind, have different lengths, are none, do not end,
            or do not fit into memory; if targets or weights come beside a data set, or `steps`
            with arrays.

    Example:
    >>> samples = read(((np.ones((2, 3)), np.zeros(2)) for _ in range(5)), steps=4)
    >>> samples.count, samples.parts[0][0].shape
    (8, (8, 3))
    """
    beside = [
        name for name, given in (("y", y), ("sample_weight", sample_weight)) if given is not None
    ]
    if isinstance(x, Samples) or _is_data_set(x):
        if beside:
            raise ValueError(
                f"Received {' and '.join(f'`{name}`' for name in beside)} beside a data set "
                f"({type(x).__name__}). A data set holds them in its batches, (x, y) or "
                "(x, y, sample_weight): leave them out."
            )
        return x if isinstance(x, Samples) else Samples(_read_batches(x, _checked(steps, x)))
    if steps is not None:
        raise ValueError(
            f"`steps` counts batches of a data set, and `x` is {type(x).__name__}: leave `steps` "
            "out, or pass fewer samples."
        )
    part = _as_batch(x, y, sample_weight)
    if length(*part) == 0:
        raise ValueError("The data hold no samples, so there is no loss.")
    return Samples((part,))


def length(x: Any, y: Any, sample_weight: Any) -> int:
    """The number of samples, which all arrays have.

    Raises:
        ValueError: If they do not, or there are no arrays.
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
        raise ValueError(f"The data must have as many samples each; received {named or 'none'}.")
    return counts.pop()


# Arrays.


def _as_batch(x: Any, y: Any, sample_weight: Any) -> Batch:
    batch = _as_arrays(x), _as_arrays(y), _as_arrays(sample_weight)
    length(*batch)
    return batch


def _as_arrays(values: Any) -> Any:
    """Arrays as `fit` would make them: floating point numbers in Keras' precision."""
    # A list of numbers is an array, a list of arrays is several.
    leaves = keras.tree.flatten(values)
    several = isinstance(values, Mapping) or any(len(getattr(v, "shape", ())) for v in leaves)
    return keras.tree.map_structure(_as_array, values) if several else _as_array(values)


def _as_array(values: Any) -> np.ndarray | None:
    """A copy, since generators may well fill the same array again for their next batch."""
    if values is None:
        return None
    values = _on_host(values)
    is_array = isinstance(values, (list, tuple)) or hasattr(values, "__array__")
    array = np.asarray(values if is_array else None)
    texts = array.dtype == object and all(isinstance(v, (str, bytes)) for v in array.flat)
    if array.ndim == 0 or (array.dtype == object and not texts):
        raise ValueError(
            "The data are arrays whose first axis counts samples, lists or dicts of such arrays, "
            "or a data set that yields batches of them, as tf.data.Dataset, "
            f"keras.utils.PyDataset and torch's DataLoader do; received {type(values).__name__}."
        )
    return array.astype(keras.config.floatx() if array.dtype.kind == "f" else array.dtype)


def _on_host(values: Any) -> Any:
    if keras.ops.is_tensor(values):
        return keras.ops.convert_to_numpy(values)
    if hasattr(values, "detach"):  # torch's, on another backend
        return values.detach().cpu()
    return values.toarray() if hasattr(values, "toarray") else values  # SciPy's sparse matrices


# Data sets.


def _is_data_set(x: Any) -> bool:
    """Whether it yields batches."""
    arrays = isinstance(x, (list, tuple, Mapping, str, bytes)) or hasattr(x, "shape")
    return isinstance(x, Iterable) and not arrays


def _checked(steps: int | None, data: Any) -> int | None:
    if steps is None:
        if _may_be_endless(data):
            raise ValueError(
                f"The data set ({type(data).__name__}) does not end, or cannot say whether it "
                "does. Pass `steps`, the number of batches to take. (`steps` of "
                "`largest_stable_learning_rate` are others: give it an "
                "`Objective(model, data, steps=...)`.)"
            )
        return None
    if isinstance(steps, bool) or not isinstance(steps, (int, np.integer)) or steps < 1:
        raise ValueError(f"`steps` is a number of batches, 1 or more; received {steps!r}.")
    return int(steps)


def _may_be_endless(data: Any) -> bool:
    """Whether a data set says that it has no end; generators cannot say."""
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
                    f"The first {batches} batches of the data set are more than the "
                    f"{MOST_BYTES / 2**30:g} GiB, or {MOST_BATCHES:,} batches, that are read into "
                    "memory at most. Pass `steps`, the number of batches to take."
                )
    _check_forms(by_shape)
    parts = tuple(map(_joined, by_shape.values()))
    parts = tuple(part for part in parts if length(*part))
    if not parts:
        raise ValueError("The data set holds no samples, so there is no loss.")
    if steps is not None and batches < steps:
        warnings.warn(
            f"The data set ended after {batches} batches, before the {steps} of `steps`: the "
            "loss is that of these.",
            stacklevel=2,
        )
    return parts


def _unpacked(batch: Any) -> Batch:
    if isinstance(batch, (list, tuple)) and not 1 <= len(batch) <= 3:
        raise ValueError(
            "A batch is `x`, `(x,)`, `(x, y)` or `(x, y, sample_weight)`; received a "
            f"{type(batch).__name__} of {len(batch)}."
        )
    return keras.utils.unpack_x_y_sample_weight(batch)


def _form(batch: Batch) -> tuple[Any, ...]:
    """What batches have in common that are of the same kind and shape."""
    paths = keras.tree.flatten_with_path(batch)
    return tuple((path, None if a is None else a.shape[1:]) for path, a in paths)


def _check_forms(forms: Iterable[Any]) -> None:
    kinds = {tuple((path, shape is None) for path, shape in form): None for form in forms}
    if len(kinds) > 1:
        names = [_described(kind) for kind in kinds]
        raise ValueError(
            f"The batches of the data set differ in what they hold: {' and '.join(names)}. All "
            "must hold the same inputs, targets and weights."
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
    """Sets the global random states back: a torch `DataLoader` draws from torch's for each pass."""
    torch = sys.modules.get("torch")
    of_python, of_numpy = random.getstate(), np.random.get_state()
    with torch.random.fork_rng(devices=[]) if torch else contextlib.nullcontext():
        try:
            yield
        finally:
            random.setstate(of_python)
            np.random.set_state(of_numpy)
