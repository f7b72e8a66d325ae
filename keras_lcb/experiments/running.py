"""Runs the members of a study in processes, each result on disk as soon as it is there."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import traceback
from collections.abc import Iterator
from pathlib import Path

from keras_lcb.experiments.study import (
    Member,
    Results,
    Study,
    failure_path,
    imported,
    load,
    result_path,
    saved_paths,
)
from keras_lcb.runs.atomic import write_atomically
from keras_lcb.runs.storage import save_run


def run(
    study: Study,
    folder: str | os.PathLike[str],
    *,
    jobs: int | None = None,
    progress: bool = True,
) -> Results:
    """Run what a folder lacks of a study.

    Each result is written when its member ends, under the hash of its settings: a study that is
    killed and run again goes on with what is missing, and studies that share members may share a
    folder. A member that fails is listed with its error, and the others run on; in another run of
    the study it is tried again.

    Args:
        study: The study.
        folder: For the results; made if it is not there.
        jobs: Processes at a time, each with its share of the processors, and with the Keras
            backend of this one. By default as many as there are processors; 1 runs everything in
            this process.
        progress: Whether to show a bar with an estimate of the time that is left.

    Returns:
        All results of the study in the folder.

    Raises:
        ValueError: If `jobs` is below 1, or there is no such engine.
        OSError: If the folder cannot be written.
        joblib.externals.loky.process_executor.TerminatedWorkerError: If a process was killed, for
            want of memory for example. What was finished is kept.
    """
    import joblib
    from tqdm import tqdm

    processors = joblib.cpu_count()
    jobs = processors if jobs is None else jobs
    if jobs < 1:
        raise ValueError(f"`jobs` is the number of processes, 1 or more, got {jobs}.")
    imported(study.engine)
    Path(folder).mkdir(parents=True, exist_ok=True)
    done = saved_paths(study, folder)
    members = [member for member in study.members() if member.key not in done]
    threads = max(1, processors // jobs)
    work = (joblib.delayed(_run_member)(study.engine, member, folder) for member in members)
    with (
        tqdm(total=len(members), unit=" runs", disable=not progress) as bar,
        _environment(threads),
        joblib.parallel_config("loky", inner_max_num_threads=threads),
    ):
        pool = joblib.Parallel(jobs, return_as="generator_unordered", pre_dispatch=jobs)
        for succeeded in pool(work):
            bar.update()
            if not succeeded:
                bar.set_description("some failed")
    return load(study, folder)


def _run_member(engine: str, member: Member, folder: str | os.PathLike[str]) -> bool:
    """Run one member in the process that it is given; return whether it went well."""
    # Each member is a model of its own, which TensorFlow takes for one that it compiles too often.
    logging.getLogger("tensorflow").addFilter(_not_of_retracing)
    try:
        save_run(imported(engine)(member.config), result_path(folder, member))
    except Exception as error:
        told = {"error": f"{type(error).__name__}: {error}", "traceback": traceback.format_exc()}
        told["config"] = member.config.to_json()
        write_atomically(failure_path(folder, member), json.dumps(told, indent=1).encode())
        return False
    failure_path(folder, member).unlink(missing_ok=True)
    return True


def _not_of_retracing(record: logging.LogRecord) -> bool:
    return "triggered tf.function retracing" not in str(record.msg)


@contextlib.contextmanager
def _environment(threads: int) -> Iterator[None]:
    """What processes inherit that begin meanwhile: Keras' backend, and how many threads to use."""
    import keras

    wanted = {
        "KERAS_BACKEND": keras.backend.backend(),
        "TF_NUM_INTRAOP_THREADS": str(threads),
        "TF_NUM_INTEROP_THREADS": str(threads),
        "NPROC": str(threads),  # JAX
    }
    before = {name: os.environ.get(name) for name in wanted}
    os.environ.update(wanted)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
