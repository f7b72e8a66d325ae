"""The question for a model of one's own."""

from __future__ import annotations

import functools
import json
import subprocess
import sys

import keras
import numpy as np
import pytest

from keras_lcb import experiments
from keras_lcb.analysis import convergence_bias, corrected

X = np.random.default_rng(0).normal(size=(48, 2)).astype("float32")


def build(seed, width, activation="tanh"):
    layers = [keras.layers.Dense(width, activation) for _ in range(4)]
    model = keras.Sequential([keras.Input((2,)), *layers, keras.layers.Dense(1, name="head")])
    model.compile("sgd", "mse", jit_compile=False)
    return model


def ask(folder, builder=build, data=(X, X[:, :1]), grid=None, **changes):
    told = {"seeds": range(5), "epochs": 3, "batch_size": 16, "jobs": 1} | changes
    grid = {"width": [3, 4]} if grid is None else grid
    return experiments.study(builder, data, grid, folder=folder, progress=False, **told)


def test_it_is_answered_for_each_setting(tmp_path):
    found = ask(tmp_path)
    assert list(found.biases) == ["width 3", "width 4"]
    runs = found.results.runs[("width", 4),]
    assert runs.step.values.tolist() == list(range(19))  # 3 updates an epoch, 2 × 3 epochs
    assert runs.seed.values.tolist() == [0, 1, 2, 3, 4]
    by_hand = {c: convergence_bias(r, 9.0) for c, r in found.results.runs.items()}
    assert {b.p_order for b in corrected(by_hand).values()} == {
        bias.p_order for bias in found.biases.values()
    }
    assert found.biases["width 3"].runs == 5
    assert runs.layer.values.tolist() == ["dense", "dense_1", "dense_2", "dense_3", "head"]
    assert found.biases["width 4"].layers == ("dense_1", "dense_2", "dense_3")
    assert "width 3: " in str(found) and "the endpoint is the" in str(found)


def test_it_goes_on_and_another_function_is_another_question(tmp_path):
    one = {"seeds": [0], "grid": {"width": [3]}}
    ask(tmp_path, **one)
    before = set(tmp_path.iterdir())
    assert len(before) == 1
    ask(tmp_path, **one)
    assert set(tmp_path.iterdir()) == before
    ask(tmp_path, builder=lambda seed, width: build(seed, width, "relu"), **one)
    assert len(set(tmp_path.iterdir())) == 2
    ask(tmp_path, data=(X + 1, X[:, :1]), **one)
    assert len(set(tmp_path.iterdir())) == 3


def of_width(width, made_anew=False):
    def builder(seed, **changes):
        return build(seed, width)

    return functools.partial(builder, anew=True) if made_anew else builder


def test_functions_that_hold_other_values_are_other_questions(tmp_path):
    for width, anew in ((3, False), (4, False), (3, False), (3, True)):
        found = ask(tmp_path, builder=of_width(width, anew), grid={}, seeds=[0])
        ((_, runs),) = found.results.runs.items()
        assert runs.parameters.values[0] == 3 * width
    assert len(list(tmp_path.glob("*.nc"))) == 3
    import threading

    lock = threading.Lock()
    with pytest.raises(ValueError, match="uses `lock`.*Pass it through `grid`"):
        ask(tmp_path, builder=lambda seed: lock and build(seed, 3), grid={}, seeds=[0])


ELSEWHERE = """
import functools, json, sys
import keras
from keras_lcb.experiments import question

class Builder:
    def __init__(self, width):
        self.width = width

    def __call__(self, seed, **settings):
        return None

    def build(self, seed, **settings):
        return None

def key_of(build, **settings):
    grid = {name: [value] for name, value in settings.items()}
    (member,) = question._members(build, (1, 2), grid, [0], 1, 1)
    return member.key

made = {}
exec("def unread(seed):\\n    def inner():\\n        return seed\\n    return inner", made)
kept = [object() for _ in range(int(sys.argv[1]))]  # so that addresses differ
print(json.dumps([
    key_of(functools.partial(Builder.build, None, width=3)),
    key_of(functools.partial(Builder.build, None, width=4)),
    key_of(Builder(3)),
    key_of(Builder(4)),
    key_of(Builder(3).build),
    key_of(Builder(4).build),
    key_of(Builder(3), activation=keras.ops.relu),
    key_of(Builder(3), activation=keras.ops.tanh),
    key_of(made["unread"]),
]))
"""


def test_what_can_be_called_is_found_again_by_other_processes(tmp_path):
    script = tmp_path / "elsewhere.py"
    script.write_text(ELSEWHERE)
    one, other = (
        json.loads(subprocess.check_output([sys.executable, str(script), number], text=True))
        for number in ("0", "30000")
    )
    assert one == other
    assert len(set(one)) == len(one)


def test_a_model_with_two_inputs_has_as_many_records(tmp_path):
    def joined(seed):
        inputs = [keras.Input((2,)), keras.Input((2,))]
        outputs = keras.layers.Dense(1, name="head")(keras.layers.Concatenate()(inputs))
        model = keras.Model(inputs, outputs)
        model.compile("sgd", "mse", jit_compile=False)
        return model

    x = np.tile(X, (20, 1))
    one = ask(tmp_path, joined, ([x, x], x[:, :1]), {}, seeds=[0], batch_size=4)
    ((_, runs),) = one.results.runs.items()
    assert runs.sizes["step"] <= 104  # 1,440 updates


def test_seeds_differ_and_are_the_same_again(tmp_path):
    one, other = (ask(tmp_path / name, seeds=[0, 1], grid={"width": [3]}) for name in "ab")
    ((_, first),) = one.results.runs.items()
    ((_, second),) = other.results.runs.items()
    np.testing.assert_array_equal(first.distance, second.distance)
    assert not np.allclose(first.distance.isel(seed=0, step=0), first.distance.isel(seed=1, step=0))


def test_data_that_a_function_loads(tmp_path):
    import tensorflow as tf

    def load():
        return tf.data.Dataset.from_tensor_slices((X, X[:, :1])).batch(24)

    found = ask(tmp_path, data=load, seeds=[0], grid={"width": [3]})
    ((_, runs),) = found.results.runs.items()
    assert runs.step.values.tolist() == [0, 2, 4, 6, 8, 10, 12]


def test_functions_of_this_file_reach_other_processes(tmp_path):
    found = ask(tmp_path, seeds=[0, 1], grid={"width": [3]}, jobs=2)
    assert found.results.failures == []


def test_a_training_is_no_two_independent_ones(tmp_path):
    for change in ({"seeds": [0, 0, 1, 2, 3]}, {"grid": {"width": [3, 3]}}):
        with pytest.raises(ValueError, match="a value is twice"):
            ask(tmp_path, **change)
    assert not list(tmp_path.iterdir())


def test_settings_may_be_lists(tmp_path):
    found = ask(
        tmp_path,
        builder=lambda seed, widths: build(seed, widths[0]),
        grid={"widths": [[3, 4], [5, 6]]},
        seeds=[0],
    )
    assert list(found.biases) == ["widths (3, 4)", "widths (5, 6)"]
    assert found.results.runs[("widths", (5, 6)),].parameters.values[0] == 15


def test_refused_questions(tmp_path):
    with pytest.raises(ValueError, match="needs a seed"):
        ask(tmp_path, seeds=[])
    with pytest.raises(ValueError, match="must return a compiled Keras model; it returned None"):
        ask(tmp_path, builder=lambda seed, width: None, seeds=[0])
    with pytest.raises(ValueError, match="must return a compiled .*Sequential.*`model.compile"):
        ask(tmp_path, builder=lambda seed, width: keras.Sequential(), seeds=[0])
    for wrong in (3, "relu"):
        with pytest.raises(ValueError, match=f"its values; received {wrong!r} for 'width'"):
            ask(tmp_path, grid={"width": wrong}, seeds=[0])
