"""The same study on real clusters, as small as they come."""

from __future__ import annotations

import os

import joblib
import pytest

import keras_lcb as lcb
from keras_lcb import experiments
from keras_lcb.experiments import clusters, running
from keras_lcb.runs import schema


def run(study, folder, backend, **options):
    results = experiments.run(study, folder, backend=backend, progress=False, **options)
    made = [lcb.load_run(path) for path in folder.glob("*.nc")]
    processes = {schema.settings(one)["process"][0] for one in made}
    assert os.getpid() not in processes
    assert {one.attrs["backend"] for one in made} == {running._keras_backend()}
    return results


def test_a_dask_cluster_of_two_processes_that_loses_workers(toy, on_jax, tmp_path):
    """A member that kills its process is sent again, once; the others are made."""
    distributed = pytest.importorskip("distributed")
    base = toy.Settings(marks=str(tmp_path), wait=0.1)
    grid = {"size,deaths": ((2.0, 99), (3.0, 0), (4.0, 0))}
    study = experiments.Study("toy_engine:engine", base, grid, (0,))
    with distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, dashboard_address=None
    ) as cluster:
        results = run(study, tmp_path / "runs", "dask", address=cluster.scheduler_address)
    ((member, error),) = results.failures
    assert (member.config.size, error) == (2.0, "Its process was killed 2 times.")
    assert len(list(tmp_path.glob("2-0-*"))) == 2
    assert len(results.runs) == 2 and not results.missing


def test_a_dask_cluster_is_started_here(tmp_path):
    pytest.importorskip("distributed")
    with clusters.connected("dask", None, 1, 1) as workers:
        found = joblib.Parallel(2)(joblib.delayed(os.getpid)() for _ in range(2))
    assert workers == 1 and os.getpid() not in found


def test_a_ray_cluster(study, tmp_path):
    pytest.importorskip("ray")
    results = run(study, tmp_path / "runs", "ray", jobs=2)
    assert (len(results.runs), results.failures, results.missing) == (2, [], [])
