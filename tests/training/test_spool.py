"""Tables that grow in a temporary file."""

import tempfile

import numpy as np
import pytest

from keras_lcb.training import spool
from keras_lcb.training.spool import Spool, Spooled, joined


@pytest.fixture(params=[0, 100, 10**6], ids=["in a file", "in both", "in memory"])
def table(request, monkeypatch):
    monkeypatch.setattr(spool, "IN_MEMORY", request.param)
    return Spool(3)


def rows(count, seed=0):
    return np.random.default_rng(seed).normal(size=(count, 3))


def test_holds_what_was_appended(table):
    parts = [rows(count, seed=count) for count in (2, 0, 5, 1, 7)]
    kept = [table.append(part) for part in parts]
    assert len(table) == 15
    np.testing.assert_array_equal(table.table(), np.concatenate(parts))
    for part, own in zip(parts, kept, strict=True):
        assert len(own) == len(part)
        np.testing.assert_array_equal(own, part)
    np.testing.assert_array_equal(joined(kept), np.concatenate(parts))
    np.testing.assert_array_equal(table.since(7), np.concatenate(parts[3:]))


def test_can_be_read_while_it_grows(table):
    first = rows(4)
    table.append(first)
    seen = table.table()
    for seed in range(20):
        table.append(rows(4, seed))
        table.table()
    np.testing.assert_array_equal(seen, first)
    assert len(table.table()) == 84


def test_a_part_of_a_row(table):
    table.append(rows(2))
    part = Spooled(table, (1, slice(1, 3)))
    np.testing.assert_array_equal(part, rows(2)[1, 1:])
    assert len(part) == 2 and part[0] == rows(2)[1, 1]


def test_parts_with_a_gap_are_joined_by_copying(table):
    parts = [table.append(rows(2, seed)) for seed in range(3)]
    found = joined([parts[0], parts[2], rows(1)])
    np.testing.assert_array_equal(found, np.concatenate([rows(2, 0), rows(2, 2), rows(1)]))


def test_rows_in_a_file_are_not_loaded(monkeypatch):
    monkeypatch.setattr(spool, "IN_MEMORY", 0)
    table = Spool(3)
    parts = [table.append(rows(2, seed)) for seed in range(3)]
    assert isinstance(joined(parts).base.base, np.memmap)
    assert not table._new


def test_without_space_on_disk_rows_stay_in_memory(monkeypatch):
    monkeypatch.setattr(spool, "IN_MEMORY", 0)
    table = Spool(3)
    table.append(rows(2, 1))

    def full(*args):
        raise OSError(28, "no space")

    written = table._file
    table._file = type("Full", (), {"seek": full, "write": full})()
    with pytest.warns(UserWarning, match="no space left on device.*TMPDIR"):
        table.append(rows(3, 2))
    table._file = written
    table.append(rows(1, 3))
    expected = np.concatenate([rows(2, 1), rows(3, 2), rows(1, 3)])
    np.testing.assert_array_equal(table.table(), expected)


def test_without_any_temporary_file_rows_stay_in_memory(monkeypatch):
    def refuse(**options):
        raise PermissionError(13, "denied")

    monkeypatch.setattr(spool, "IN_MEMORY", 0)
    monkeypatch.setattr(tempfile, "TemporaryFile", refuse)
    table = Spool(3)
    with pytest.warns(UserWarning, match="permission denied"):
        table.append(rows(2))
    table.append(rows(2, 1))
    np.testing.assert_array_equal(table.table(), np.concatenate([rows(2), rows(2, 1)]))


@pytest.mark.parametrize("place", ["memory", "file", "both"])
def test_all_parts_that_are_read_share_one_copy(monkeypatch, place):
    """Or a thousand records that are read would take the memory of a thousand tables."""
    monkeypatch.setattr(spool, "IN_MEMORY", np.inf if place == "memory" else 0)
    table = Spool(3)
    parts = [table.append(rows(2, seed)) for seed in range(3)]
    if place == "both":
        table._most_new = np.inf  # as after a failed write
        parts.append(table.append(rows(2, 3)))
    read = [np.asarray(part) for part in parts]
    assert all(np.shares_memory(one, table.table()) for one in read)
    np.testing.assert_array_equal(read[-1], rows(2, len(parts) - 1))
