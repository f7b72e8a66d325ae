import sys
import types

import pytest

from keras_lcb.lab.screen import notebook_cells


class Shell:
    """Stands in for a notebook's shell: the header of the cell, and its events."""

    def __init__(self) -> None:
        self.parent_header = {"metadata": {"cellId": "a"}}
        self.told = []
        self.events = types.SimpleNamespace(register=lambda _, act: self.told.append(act))

    def run(self, cell: str | None) -> None:
        for act in self.told:
            act(types.SimpleNamespace(cell_id=cell))


class Lab:
    closed = 0

    def close(self) -> None:
        self.closed += 1


@pytest.fixture
def shell(monkeypatch) -> Shell:
    shell = Shell()
    monkeypatch.setitem(sys.modules, "IPython", types.SimpleNamespace(get_ipython=lambda: shell))
    return shell


def test_a_cell_that_runs_again_closes_its_own_labs_only(shell):
    mine, too, other = Lab(), Lab(), Lab()
    notebook_cells.remember(mine)
    notebook_cells.remember(too)
    shell.parent_header = {"metadata": {"cellId": "b"}}
    notebook_cells.remember(other)
    shell.run("c")
    shell.run(None)
    assert (mine.closed, too.closed, other.closed) == (0, 0, 0)
    shell.run("a")
    shell.run("a")
    assert (mine.closed, too.closed, other.closed) == (1, 1, 0)
    assert len(shell.told) == 1


def test_front_ends_that_name_no_cells_and_plain_python_are_left_alone(shell, monkeypatch):
    shell.parent_header = {}
    notebook_cells.remember(Lab())
    monkeypatch.delitem(sys.modules, "IPython")
    notebook_cells.remember(Lab())
    assert shell.told == []
