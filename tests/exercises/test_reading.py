"""What learners type, and what it means."""

from __future__ import annotations

import math
from decimal import Decimal
from fractions import Fraction

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from keras_lcb.exercises import reading


@pytest.mark.parametrize(
    ("typed", "value"),
    [
        *((0.5, 0.5), (1, 1), (Fraction(1, 8), 0.125), (Decimal("0.1"), 0.1), (np.int8(3), 3)),
        *((np.float32(0.5), 0.5), (np.array(2), 2), (np.array([[2]]), 2), ([7], 7), (([7],), 7)),
        *((xr.DataArray(4), 4), (xr.DataArray([4]), 4), (pd.Series([4]), 4), (["1/2"], 0.5)),
        *(("1/120", 1 / 120), (" 1 / 120 ", 1 / 120), ("-1/4", -0.25), ("0.83 %", 0.0083)),
        *(("0,5", 0.5), ("2,000", 2000), ("1,234.5", 1234.5), ("12_000", 12000), ("1e-3", 0.001)),
        *(
            ("½", 0.5),
            ("1½", 1.5),
            ("-2 ¾", -2.75),
            ("1 1/2", 1.5),
            ("- 1 3 / 4", -1.75),
            ("1 200/3", 400),  # a space for thousands
            ("⅓", 1 / 3),
            ("12½ %", 0.125),
            ("-¼", -0.25),
            ("−3", -3),
            ("'4'", 4),
            ("nan", math.nan),
            (10**400, math.inf),
        ),
    ],
)
def test_numbers(typed, value):
    assert reading.number(typed) == pytest.approx(value, nan_ok=True)


@pytest.mark.parametrize(
    "typed",
    [
        "",
        "two",
        "1/0",
        "1/",
        "1²",
        "½1",
        "1 1/",
        "%",
        "x1",
        True,
        np.True_,
        1j,
        [1, 2],
        np.ones(2),
        {},
        len,
    ],
)
def test_what_is_no_number(typed):
    assert reading.number(typed) is None


@pytest.mark.parametrize(
    "typed", ["layer_3", "Layer_3", "layer 3", " LAYER-3 ", "'layer3'", np.array(["layer_3"])]
)
def test_names(typed):
    assert reading.name(typed, ["layer_2", "layer_3", "layer_30"]) == "layer_3"


def test_a_name_that_may_mean_two_is_read_only_as_it_is():
    assert reading.name("a_1", ["a_1", "a1"]) == "a_1"
    assert reading.name("A 1", ["a_1", "a1"]) is None
    assert reading.name(3, ["layer_3"]) is None and reading.name("_", ["layer_3"]) is None


def test_sequences():
    assert reading.sequence("[a, b; c]") == ["a", "b", "c"]
    assert reading.sequence("1 -> 3 → 10") == ["1", "3", "10"]
    assert reading.sequence({"a": 3, "b": "1/2"}) == ["b", "a"]
    assert reading.sequence({"a": "x"}) is None
    assert reading.sequence(x for x in "ab") == ["a", "b"]
    assert reading.sequence(3) is None and reading.sequence({1, 2}) is None
    assert len(reading.sequence(iter(int, 1))) == 1000, "a stream without an end"


def test_keys_are_names_or_numbers():
    assert reading.key("10", [1, 3, 10]) == 10 and reading.key(3.0, [1, 3]) == 3
    assert reading.key("B", ["a", "b"]) == "b" and reading.key("4", [1, 3]) is None


def test_open_answers():
    for answer in (..., None, [...], (..., None), {"a": ...}):
        assert reading.is_open(answer)
    for answer in (0, "", [], {}, [1, ...], {"a": ..., "b": 1}, np.nan):
        assert not reading.is_open(answer)
