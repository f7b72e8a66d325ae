"""Wrong arguments, which are refused with a sentence."""

import keras
import numpy as np
import pytest
from keras import layers

import keras_lcb as lcb
from tests.freezing.conftest import data, network, train
from tests.freezing.test_freeze_converged import freeze_linear


class NoArrays:
    """Stands for a data set."""


@pytest.mark.parametrize(
    ("x", "words"),
    [
        (NoArrays(), "received NoArrays. Pass the samples"),
        ([[1.0, 2.0], [3.0, 4.0]], "received float within a list"),
        (np.ones((1, 6)), "received 1 without a difference"),
        (np.ones((9, 6)), "received 9 without a difference"),
        ([np.ones((3, 6)), np.ones((4, 6))], "equally many samples; received 3 and 4"),
        ([], "received list. Pass the samples"),
        (np.float32(1), "received float32. Pass the samples"),
    ],
)
def test_a_probe_batch_needs_different_samples(x, words):
    with pytest.raises(ValueError, match=words):
        lcb.FreezeConverged(x=x)


def test_a_probe_batch_may_differ_in_one_input_only():
    lcb.FreezeConverged(x={"one": np.ones((2, 3)), "other": np.arange(2)})


def test_a_probe_batch_of_another_shape_is_refused_before_training():
    model = network()
    with pytest.raises(ValueError, match=r"'chain' cannot be called on `x`.*shape \(2, 5\)"):
        train(model, lcb.FreezeConverged(x=np.arange(10.0).reshape(2, 5)))
    assert int(model.optimizer.iterations) == 0


@pytest.mark.parametrize(
    "options",
    [
        {"threshold": "a"},
        {"threshold": True},
        {"threshold": float("nan")},
        {"start": "x"},
        {"start": True},
        {"start": None},
        {"schedule": ["linear"]},
        {"cache": 1},
    ],
)
def test_settings_of_another_kind_are_named(options):
    ((name, value),) = options.items()
    with pytest.raises(ValueError, match=rf"`{name}`.* must be") as refused:
        lcb.FreezeConverged(**options)
    assert repr(value) in str(refused.value)


def test_a_loop_without_epochs_is_refused():
    with pytest.raises(ValueError, match="only when an epoch of `fit` begins"):
        with lcb.track(network(), lcb.FreezeConverged()):
            pass


def test_a_model_that_is_not_compiled_is_refused():
    model = keras.Sequential([keras.Input((6,)), layers.Dense(2)])
    with pytest.raises(ValueError, match=r"is not compiled.*model.compile"):
        lcb.fit_in_stages(model, *data(), lcb.FreezeConverged())


def test_a_cache_names_the_inputs_in_place_of_a_dict():
    x, y = data()
    with pytest.raises(ValueError, match="received a dict. Pass its arrays as a list.*'first'"):
        start = keras.Input((6,), name="first")
        end = layers.Dense(2, name="b")(layers.Dense(3, name="a")(start))
        model = keras.Model({"first": start}, end)
        model.compile("sgd", "mse")
        lcb.fit_in_stages(model, {"first": x}, y, freeze_linear(cache=True), epochs=6)


@pytest.mark.parametrize("name", ["train_step", "compute_loss", "compute_metrics"])
@pytest.mark.parametrize("on", ["class", "object"])
def test_a_cache_refuses_methods_that_would_receive_activations_as_x(name, on):
    def own(self, *args, **kwargs):
        raise AssertionError("must not be called")

    kind = type("Own", (keras.Model,), {name: own} if on == "class" else {})
    start = keras.Input((6,))
    model = kind(start, layers.Dense(2, name="b")(layers.Dense(3, name="a")(start)))
    model.compile("sgd", "mse")
    if on == "object":
        setattr(model, name, own)
    with pytest.raises(ValueError, match=f"own `{name}`.*Leave out `cache`"):
        lcb.fit_in_stages(model, *data(), freeze_linear(cache=True), epochs=6)


@pytest.mark.parametrize("shape", [(16,), (16, 1, 1)])
def test_a_cache_takes_samples_of_another_rank_as_fit_does(shape):
    x, y = data()

    def trained(cache):
        keras.utils.set_random_seed(3)
        chain = [layers.Dense(3, name="a"), layers.Dense(3, name="b"), layers.Dense(2, name="c")]
        model = keras.Sequential([keras.Input((1,)), *chain])
        model.compile("sgd", "mse", run_eagerly=keras.backend.backend() != "torch")
        options = {"epochs": 2, "verbose": 0, "shuffle": False, "batch_size": 4}
        freeze = freeze_linear(cache=cache)
        return lcb.fit_in_stages(model, x[:, 0].reshape(shape), y, freeze, **options).history

    np.testing.assert_allclose(trained(True)["loss"], trained(False)["loss"], rtol=1e-5)
