"""The same study on real clusters, as small as they come."""

from __future__ import annotations

import os

import pytest

import keras_lcb as lcb
from keras_lcb import experiments
from keras_lcb.runs import schema


@pytest.fixture
def deadly(toy, tmp_path):
    """Members that are made, one that kills its process once, and one that always does."""
    base = toy.Settings(marks=str(tmp_path), wait=0.1)
    grid = {"size,deaths": ((1.0, 1), (2.0, 99), (3.0, 0), (4.0, 0))}
    return experiments.Study("toy_engine:engine", base, grid, (0,))


def run(study, folder, backend, **options):
    results = experiments.run(study, folder, backend=backend, progress=False, **options)
    assert not [told for told in results.failures if "killed" not in told[1]]
    made = [lcb.load_run(path) for path in folder.glob("*.nc")]
    processes = {schema.settings(one)["process"][0] for one in made}
    assert os.getpid() not in processes
    assert len({one.attrs["backend"] for one in made}) == 1
    return results


def test_a_dask_cluster_of_two_processes(study, tmp_path):
    distributed = pytest.importorskip("distributed")
    with distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, dashboard_address=None
    ) as cluster:
        results = run(study, tmp_path / "runs", "dask", address=cluster.scheduler_address)
    assert (len(results.runs), results.failures, results.missing) == (2, [], [])


def test_dask_loses_workers(deadly, tmp_path):
    pytest.importorskip("distributed")
    results = run(deadly, tmp_path / "runs", "dask", jobs=2)
    assert [member.config.size for member, _ in results.failures] == [2.0]
    assert len(results.runs) == 3 and not results.missing


def test_a_ray_cluster(study, tmp_path):
    pytest.importorskip("ray")
    results = run(study, tmp_path / "runs", "ray", jobs=2)
    assert (len(results.runs), results.failures, results.missing) == (2, [], [])
