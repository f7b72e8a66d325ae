"""Closes the lab of a notebook cell when the cell runs again."""

from __future__ import annotations

import sys
import weakref
from typing import Any, Protocol


class Closable(Protocol):
    """An object that can be closed."""

    def close(self) -> None:
        """Ends everything that the object does."""


_made_in: dict[str, weakref.WeakSet[Any]] = {}
_watched: weakref.WeakSet[Any] = weakref.WeakSet()


def remember(lab: Closable) -> None:
    """Stores in which cell a lab was made, so that it is closed before that cell runs again."""
    shell = _shell()
    cell = _running_cell(shell)
    if shell is None or cell is None:
        return
    _made_in.setdefault(cell, weakref.WeakSet()).add(lab)
    if shell not in _watched:
        _watched.add(shell)
        shell.events.register("pre_run_cell", lambda info: close_labs_of(info.cell_id))


def close_labs_of(cell: str | None) -> None:
    """Closes the labs that this cell has made."""
    for lab in list(_made_in.pop(cell or "", ())):
        lab.close()


def _shell() -> Any:
    """Returns the notebook's shell; `None` outside of IPython."""
    module = sys.modules.get("IPython")
    return module.get_ipython() if module is not None else None


def _running_cell(shell: Any) -> str | None:
    """Returns the id of the running cell, if the notebook's front end has sent it."""
    header = getattr(shell, "parent_header", None) or {}
    return header.get("metadata", {}).get("cellId")
