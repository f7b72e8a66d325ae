"""A Ray cluster, or one that is started on this machine for as long as the study runs."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import joblib
import ray
from ray.util.joblib import register_ray


@contextmanager
def connected(address: str | None, jobs: int, threads: int) -> Iterator[int]:
    """Sends tasks to Ray's actors; see `clusters.connected`."""
    started = not ray.is_initialized()
    if started:
        here: Any = {} if address else {"num_cpus": jobs, "include_dashboard": False}
        ray.init(address=address, log_to_driver=False, **here)
    register_ray()
    try:
        with joblib.parallel_config("ray"):
            yield max(1, int(ray.cluster_resources().get("CPU", 1)))
    finally:
        if started:
            ray.shutdown()
