"""A Dask cluster, or one that is started on this machine for as long as the study runs."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import distributed
import joblib
from joblib._dask import DaskDistributedBackend


@contextmanager
def connected(address: str | None, jobs: int, threads: int) -> Iterator[int]:
    """Sends tasks to Dask's workers; see `clusters.connected`."""
    local = {"n_workers": jobs, "threads_per_worker": 1, "dashboard_address": None}
    given = {"address": address} if address else local
    # Without it, joblib would make the client another one's default.
    with distributed.Client(**given, set_as_default=False) as client:
        workers = client.scheduler_info(n_workers=-1)["workers"].values()
        with joblib.parallel_config(_Workers(client=client)):
            yield max(1, sum(worker["nthreads"] for worker in workers))


class _Workers(DaskDistributedBackend):
    """Sends tasks to a cluster of a single worker, too; joblib would run them in this process."""

    def effective_n_jobs(self, n_jobs: int) -> int:
        """Returns how many tasks run at a time, in joblib's eyes."""
        return max(2, super().effective_n_jobs(n_jobs))
