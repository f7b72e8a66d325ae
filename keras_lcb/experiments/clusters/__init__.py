"""Where members of a study run: a file each, found by its name.

Each has `connected(address, jobs, threads)`, a context in which `joblib.Parallel` sends its tasks
there; it yields how many run at a time.
"""

from __future__ import annotations

import importlib
import pkgutil
from contextlib import AbstractContextManager


def names() -> list[str]:
    """Returns what can be given as `backend`.

    Example:
        >>> names()
        ['dask', 'loky', 'ray']
    """
    return sorted(found.name for found in pkgutil.iter_modules(__path__))


def connected(
    backend: str, address: str | None, jobs: int, threads: int
) -> AbstractContextManager[int]:
    """Returns a context in which `joblib.Parallel` sends its tasks to a backend.

    Args:
        backend: One of `names`.
        address: Of a cluster that runs already; `None` for one on this machine.
        jobs: Processes at a time on this machine; a cluster says by itself how many it has.
        threads: Of each process on this machine.

    Raises:
        ValueError: If there is no such backend, it takes no address, or is not installed.
    """
    if backend not in names():
        raise ValueError(f"`backend` is one of {', '.join(names())}; received {backend!r}.")
    try:
        module = importlib.import_module(f"{__name__}.{backend}")
        return module.connected(address, jobs, threads)
    except ImportError as error:
        raise ValueError(
            f"The backend {backend} is not installed: pip install 'keras-lcb[{backend}]' ({error})."
        ) from error
