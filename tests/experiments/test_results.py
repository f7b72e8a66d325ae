"""What is loaded of a study."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

import keras_lcb as lcb
from keras_lcb import experiments
from keras_lcb.analysis.compared import single_runs
from keras_lcb.experiments import results as loading
from keras_lcb.experiments.member import failure_path, result_path
from keras_lcb.runs import schema


def run(study, folder):
    return experiments.run(study, folder, jobs=1, progress=False)


def test_runs_stack_along_the_seed(study, tmp_path):
    results = run(study, tmp_path / "runs")
    assert list(results.runs) == [(("size", 1.0),), (("size", 5.0),)]
    five = results.runs[("size", 5.0),]
    assert five.distance.dims == ("seed", "step", "layer")
    assert five.distance.sel(step=0, layer="one").values.tolist() == [5.0, 6.0, 7.0]
    assert five.seed.values.tolist() == [0, 1, 2]
    assert "seed" not in five.attrs
    told = schema.settings(five)
    assert told == {"threads": told["threads"], "all": {"size": 5.0}}
    assert five.attrs["first_nonfinite_update"] == 0
    assert (results.failures, results.missing) == ([], [])
    assert len(results.made) == 6 and all(0 < seconds < 60 for _, seconds in results.made)
    lcb.save_run(five, tmp_path / "five.nc")
    assert schema.is_run(lcb.load_run(tmp_path / "five.nc"))


def test_what_is_missing_and_what_failed(study, tmp_path):
    first, second, *_ = study.members()
    experiments.complete([first], tmp_path, jobs=1, progress=False)
    failure_path(tmp_path, second.key).write_text('{"error": "OSError: disk full"}')
    results = experiments.load(study, tmp_path)
    assert results.failures == [(second, "OSError: disk full")]
    assert len(results.missing) == 4


def test_runs_of_other_lengths_and_times_stack(study, tmp_path):
    one = run(study, tmp_path).runs[("size", 1.0),]
    shorter = one.isel(seed=[0], step=[0])
    assert "wall_time" not in one
    assert np.isnan(loading.stacked([one.isel(seed=[1]), shorter]).distance.values).any()


def test_runs_of_two_backends_are_not_mixed(study, tmp_path):
    first, *_ = members = study.members()
    lcb.save_run(first.make().assign_attrs(backend="theano"), result_path(tmp_path, first.key))
    with pytest.raises(ValueError, match="was made on theano, and Keras is on .* another folder"):
        experiments.complete(members, tmp_path, jobs=1, progress=False)
    assert len(experiments.load(study, tmp_path).missing) == 5  # what is there may be looked at


def test_a_run_that_does_not_say_how_long_it_took(study, tmp_path):
    first = study.members()[0]
    bare = first.make().drop_vars("wall_time")
    bare.attrs.pop("seconds", None)
    lcb.save_run(bare, result_path(tmp_path, first.key))
    ((_, seconds),) = experiments.load(study, tmp_path).made
    assert np.isnan(seconds)  # which is not 0


def test_each_seed_of_stacked_runs_says_whether_it_diverged(study, tmp_path):
    one = run(study, tmp_path).runs[("size", 1.0),].isel(seed=[0])
    runs = [one.assign_coords(seed=[n]).assign_attrs(first_nonfinite_update=n) for n in (-1, 7)]
    assert "first_nonfinite_update" in one.coords
    apart = single_runs(loading.stacked([r.drop_vars("first_nonfinite_update") for r in runs]))
    assert [r.attrs["first_nonfinite_update"] for r in apart] == [-1, 7]


def test_a_run_of_other_settings_under_this_name_is_refused(study, toy, tmp_path):
    member = study.members()[0]
    other = dataclasses.replace(member.config, power=3)
    made = schema.of_experiment(member.make(), "toy_engine", other)
    lcb.save_run(made, result_path(tmp_path, member.key))
    with pytest.raises(ValueError, match="made with other settings.*default has changed"):
        experiments.load(study, tmp_path)
