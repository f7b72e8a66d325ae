"""HDF5 files with an arbitrary content, made by hypothesis, that claim to hold a run."""

from __future__ import annotations

import contextlib
import pathlib
import queue
import threading
from collections.abc import Iterator
from typing import Any

import h5py
import hypothesis.extra.numpy as hnp
import numpy as np
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

from keras_lcb.runs import schema

_NAMES = st.sampled_from(
    ["step", "layer", "distance", "loss", "depth", "kind", "epoch", "seed", "x"]
) | st.text(min_size=1, max_size=8)
_SHAPES = st.sampled_from([(), (0,), (1,), (3,), (3, 2), (2, 3, 1), (2**40,), (2**20, 2**20)])
_DTYPES = st.sampled_from(
    ["f8", "f4", "f2", "i8", "u1", ">f8", "?", "c16", "S5", "V3", "text", "i4,f8", "M8[s]"]
)
_VALUES = st.one_of(
    st.integers(-(2**63), 2**63 - 1),
    st.floats(),
    st.text(max_size=300),
    st.binary(max_size=20),
    st.booleans(),
    hnp.arrays(np.float64, hnp.array_shapes(max_dims=2, max_side=40)),
)
_ATTRIBUTES = st.dictionaries(
    st.sampled_from(
        [
            "CLASS",
            "NAME",
            "DIMENSION_LIST",
            "REFERENCE_LIST",
            "_FillValue",
            "_NCProperties",
            "_Netcdf4Coordinates",
            "_Netcdf4Dimid",
            "calendar",
            "coordinates",
            "dtype",
            "missing",
            "scale_factor",
            "schema_version",
            "settings",
            "units",
        ]
    )
    | st.text(min_size=1, max_size=6),
    _VALUES,
    max_size=5,
)
_ARRAYS = st.lists(st.tuples(_NAMES, _SHAPES, _DTYPES, _ATTRIBUTES, st.booleans()), max_size=5)


def made(path: pathlib.Path, count: int, number: int) -> Iterator[None]:
    """Writes files to a path, one after another; yields after each.

    Args:
        path: The file, which is written anew.
        count: How many.
        number: The seed.
    """
    ready: queue.Queue[bool] = queue.Queue(1)
    go_on: queue.Queue[bool] = queue.Queue(1)

    @seed(number)
    @settings(
        max_examples=count,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(_ARRAYS, _ATTRIBUTES, st.booleans())
    def make(arrays: Any, attributes: Any, is_run: bool) -> None:
        _write(path, arrays, attributes, is_run)
        ready.put(True)
        go_on.get()

    def make_all() -> None:
        with contextlib.suppress(Exception):
            make()
        ready.put(False)

    threading.Thread(target=make_all, daemon=True).start()
    while ready.get():
        yield
        go_on.put(True)


def _write(path: pathlib.Path, arrays: Any, attributes: Any, is_run: bool) -> None:
    with h5py.File(path, "w") as file:
        _set(file, attributes)
        if is_run:
            file.attrs[schema.MARKER] = "1"
        for name, shape, dtype, own, is_scale in arrays:
            with contextlib.suppress(Exception):  # not everything can be written
                kind = h5py.string_dtype() if dtype == "text" else np.dtype(dtype)
                array = file.create_dataset(name, shape, kind, chunks=(2,) * len(shape) or None)
                if is_scale:
                    array.make_scale(name)
                _set(array, own)


def _set(owner: Any, attributes: dict[str, Any]) -> None:
    for name, value in attributes.items():
        with contextlib.suppress(Exception):
            owner.attrs[name] = value
