"""A Dask cluster, or one that is started on this machine for as long as the study runs."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import distributed
import joblib


@contextmanager
def connected(address: str | None, jobs: int, threads: int) -> Iterator[int]:
    """Sends tasks to Dask's workers; see `clusters.connected`."""
    local = {"n_workers": jobs, "threads_per_worker": 1, "dashboard_address": None}
    given = {"address": address} if address else local
    # Without it, joblib would make the client another one's default.
    with distributed.Client(**given, set_as_default=False) as client:
        workers = client.scheduler_info(n_workers=-1)["workers"].values()
        with joblib.parallel_config("dask", client=client):
            yield max(1, sum(worker["nthreads"] for worker in workers))
