"""Runs the members of a study in processes, here or on a cluster. An interrupted run continues."""

from __future__ import annotations

import functools
import os
import time
import uuid
from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import keras_lcb_worker
from keras_lcb.experiments import clusters
from keras_lcb.experiments.grid import Study
from keras_lcb.experiments.member import (
    DEATHS,
    Member,
    deaths_noted,
    failure_path,
    is_over,
    lock_path,
    note_deaths,
    result_path,
    run_member,
)
from keras_lcb.experiments.results import Results, check_backend, load

_PATIENCE_SECONDS = 0.5  # between looks at what another process is at
_LOSSES = 2  # passes in a row without a run that may end by an error that is no member's


def run(study: Study, folder: str | os.PathLike[str], **options: Any) -> Results:
    """Runs what a folder lacks of a study.

    Args:
        study: The study.
        folder: For the results; made if it is not there.
        **options: Those of `complete`: `jobs`, `backend`, `address`, `progress`.

    Returns:
        All results of the study in the folder.

    Raises:
        ValueError: As `complete` and `load` do.
        OSError: If the folder cannot be written.

    Example:
        >>> import tempfile
        >>> from keras_lcb.synthetic import Config
        >>> base = Config(depth=2, width=4, updates=4, record_every=2)
        >>> two = Study("keras_lcb.synthetic:run", base, {"learning_rate": (0.01, 0.02)}, [0])
        >>> found = run(two, tempfile.mkdtemp(), jobs=1, progress=False)
        >>> list(found.runs)
        [(('learning_rate', 0.01),), (('learning_rate', 0.02),)]
    """
    complete(study.members(), folder, **options)
    return load(study, folder)


def complete(
    members: Sequence[Member],
    folder: str | os.PathLike[str],
    *,
    jobs: int | None = None,
    backend: str = "loky",
    address: str | None = None,
    progress: bool = True,
) -> None:
    """Runs the members whose results a folder lacks.

    Each result is written when its member ends, under the hash of its settings: a study that is
    killed and run again goes on with what is missing, and studies that share members may share a
    folder. Several processes, on several machines, may work in one folder: each member is run by
    one of them. A member that fails is listed with its error, and the others run on; another call
    tries it again. If a process is killed, for want of memory for example, the members that it was
    at run again, one by one; a member whose process is killed twice is listed as failed. If
    processes are killed while they start, before they are at any member, new ones are started; if
    that happens three times without a run in between, their error is raised.

    Args:
        members: The members.
        folder: For the results; made if it is not there. On a cluster, a folder that all its
            machines see.
        jobs: Processes at a time on this machine, each with its share of the processors, and
            with the Keras backend of this one. By default as many as there are processors; 1 runs
            everything in this process, whose memory may grow with each training, while a process
            of several is replaced when its memory has grown by 300 MB.
        backend: Where: "loky", processes on this machine; "dask" or "ray", the workers of a
            cluster, which have the same packages as this process.
        address: Of the cluster, such as `"tcp://10.0.0.1:8786"`; `None` starts one on this machine.
        progress: Whether to show a bar with an estimate of the time that is left.

    Raises:
        ValueError: If `jobs` is below 1, the backend unknown or not installed, or the folder has
            runs of the members that were made on another backend of Keras.
        OSError: If the folder cannot be written.

    Example:
        >>> import tempfile
        >>> from keras_lcb.synthetic import Config
        >>> base = Config(depth=2, width=4, updates=4, record_every=2)
        >>> study, folder = Study("keras_lcb.synthetic:run", base, {}, range(3)), tempfile.mkdtemp()
        >>> complete(study.members()[:1], folder, jobs=1, progress=False)
        >>> len(load(study, folder).missing)
        2
    """
    import joblib
    from tqdm import tqdm

    processors = joblib.cpu_count()
    jobs = processors if jobs is None else jobs
    if jobs < 1:
        raise ValueError(f"`jobs` is the number of processes, 1 or more; received {jobs}.")
    Path(folder).mkdir(parents=True, exist_ok=True)
    threads = max(1, processors // jobs)
    lacking = {m.key: m for m in members if not result_path(folder, m.key).exists()}
    check_backend([m for m in members if m.key not in lacking], folder, _keras_backend())
    here = jobs == 1 and (backend, address) == ("loky", None)
    where = nullcontext(1) if here else clusters.connected(backend, address, jobs, threads)
    with tqdm(total=len(lacking), unit=" runs", disable=not progress) as bar:
        work = _Work(list(lacking.values()), folder, threads, bar)
        if here:
            work.here()
        elif lacking:
            with where as workers:
                work.in_processes(workers)


class _Work:
    """The members that are still to be run, and how they are."""

    def __init__(
        self, members: Sequence[Member], folder: str | os.PathLike[str], threads: int, bar: Any
    ) -> None:
        self.pending = list(members)
        self.folder = os.path.abspath(folder)
        self.threads = threads
        self.bar = bar
        self.attempt = uuid.uuid4().hex
        self.lost = 0  # passes that ended by an error that is no member's, since the last run
        for member in members:  # what failed before is tried again
            failure_path(folder, member.key).unlink(missing_ok=True)

    def here(self) -> None:
        """Runs all members in this process."""
        while self.pending:
            before = len(self.pending)
            for member in self.pending:
                run_member(member, self.folder, self.attempt, _keras_backend())
                self.bar.update()
            self._note()
            self._wait_for_others(before)

    def in_processes(self, workers: int) -> None:
        """Runs all members in other processes, whatever happens to these."""
        while self.pending:
            before = len(self.pending)
            for suspect in self._pass(self.pending, workers):
                self._pass([suspect], workers)  # beside no other
                deaths = self._deaths(suspect)
                if deaths >= DEATHS:
                    lock_path(self.folder, suspect.key).unlink(missing_ok=True)
                    note_deaths(suspect, self.folder, deaths)
                self._note()
            self._wait_for_others(before)

    def _pass(self, members: list[Member], workers: int) -> list[Member]:
        """Runs members; returns those that were under way when a process was killed."""
        import joblib

        tasks = [self._task(member) for member in members]
        # With one worker, joblib would run everything in this process.
        pool = _counted(self.bar)(max(2, workers), batch_size=1, pre_dispatch=workers)
        try:
            pool(joblib.delayed(keras_lcb_worker.work)(*task) for task in tasks)
        except Exception:
            before = len(self.pending)
            self._note()
            under_way = [member for member in self.pending if self._deaths(member)]
            self.lost = self.lost + 1 if not under_way and len(self.pending) == before else 0
            if self.lost > _LOSSES:
                raise
            return under_way
        self._note()
        return []

    def _task(self, member: Member) -> tuple[dict[str, str], bytes]:
        import cloudpickle

        backend = _keras_backend()
        environment = {
            "KERAS_BACKEND": backend,
            "TF_NUM_INTRAOP_THREADS": str(self.threads),
            "TF_NUM_INTEROP_THREADS": str(self.threads),
            "NPROC": str(self.threads),  # JAX
            "TF_CPP_MIN_LOG_LEVEL": os.environ.get("TF_CPP_MIN_LOG_LEVEL", "2"),
        }
        task = functools.partial(run_member, member, self.folder, self.attempt, backend)
        return environment, cloudpickle.dumps(task)

    def _note(self) -> None:
        """Takes off the list what is done or has failed, here or in another process."""
        self.pending = [m for m in self.pending if not is_over(self.folder, m.key)]
        self.bar.n = self.bar.total - len(self.pending)
        self.bar.refresh()

    def _wait_for_others(self, before: int) -> None:
        if len(self.pending) == before:
            time.sleep(_PATIENCE_SECONDS)

    def _deaths(self, member: Member) -> int:
        return deaths_noted(lock_path(self.folder, member.key), self.attempt)


def _counted(bar: Any) -> Any:
    """Returns `joblib.Parallel` that moves a bar: not every backend tells of what is done."""
    import joblib

    class Counted(joblib.Parallel):
        start = bar.n

        def print_progress(self) -> None:
            bar.update(self.start + self.n_completed_tasks - bar.n)

    return Counted


def _keras_backend() -> str:
    import keras

    return keras.backend.backend()
