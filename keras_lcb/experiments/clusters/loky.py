"""Processes on this machine."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager

import joblib


def connected(address: str | None, jobs: int, threads: int) -> AbstractContextManager[int]:
    """Sends tasks to processes of their own; see `clusters.connected`."""
    if address is not None:
        raise ValueError(
            f"loky runs processes on this machine and takes no address; received {address!r}. "
            "Choose the backend of your cluster: dask or ray."
        )
    return _processes(jobs, threads)


@contextmanager
def _processes(jobs: int, threads: int) -> Iterator[int]:
    with warnings.catch_warnings(), joblib.parallel_config("loky", inner_max_num_threads=threads):
        # A process whose memory has grown ends, and another takes its place, as it should be.
        warnings.filterwarnings("ignore", "A worker stopped while some jobs", UserWarning)
        yield jobs
