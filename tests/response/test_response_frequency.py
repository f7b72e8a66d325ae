"""Response frequency along training, against activations that are kept whole."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from keras import layers

import keras_lcb
from keras_lcb.response.gaussian_filter import GaussianFilter
from keras_lcb.response.response_frequency import ResponseFrequency
from keras_lcb.runs import schema
from tests.callbacks.tiny import compiled, dense, train
from tests.plain_copies import PlainCopies

CUTOFFS = [0.2, 0.4]


def probe(count=30):
    random = np.random.default_rng(5)
    return random.normal(size=(count, 6)).astype("float32"), random.integers(0, 3, count)


def gram(x):
    x = np.asarray(x, "float64").reshape(len(x), -1)
    return (x - x.mean(0)) @ (x - x.mean(0)).T


def test_records_agree_with_whole_activations():
    model, (x, y) = compiled(dense("a", "b")), probe()
    callback, copies = ResponseFrequency(x, y, cutoffs=CUTOFFS), PlainCopies()
    train(model, callback, copies, epochs=2)
    run = callback.results
    assert run.response_frequency.dims == ("step", "layer", "cutoff")
    assert run.cutoff.values.tolist() == CUTOFFS
    target = np.eye(3)[y]
    whole = keras.Model(model.input, [model.get_layer(name).output for name in "ab"])
    for step, weights in enumerate(copies.taken):
        model.set_weights(weights)
        for layer, output in enumerate(whole(x)):
            output = keras.ops.convert_to_numpy(output)
            for place, cutoff in enumerate(CUTOFFS):
                response = GaussianFilter(gram(x), cutoff).share_above(output)
                left = GaussianFilter(gram(output), cutoff).share_above(target)
                found = run.isel(step=step, layer=layer, cutoff=place)
                np.testing.assert_allclose(found.response_frequency, response, rtol=1e-4)
                np.testing.assert_allclose(found.target_frequency, left, rtol=1e-4)
    of_input = [GaussianFilter(gram(x), cutoff).share_above(target) for cutoff in CUTOFFS]
    np.testing.assert_allclose(run.input_target_frequency, of_input, rtol=1e-9)


class Wave(layers.Layer):
    """Waves of a known frequency along the first input, as its output."""

    def __init__(self, waves, **options):
        super().__init__(**options)
        self.waves = waves

    def build(self, shape):
        self.scale = self.add_weight(name="scale", shape=(), initializer="ones")

    def call(self, x):
        return self.scale * keras.ops.sin(2 * np.pi * self.waves * x[:, :1])


def test_response_and_target_frequency_are_different_things():
    """The output of the first layer is a fast wave. It equals the target, so nothing is left."""
    x = np.linspace(0, 1, 400, endpoint=False)[:, None].astype("float32")
    inputs = keras.Input((1,))
    fast = Wave(40, name="fast")(inputs)
    model = keras.Model(inputs, Wave(0.02, name="slow")(fast))  # nearly linear
    model.compile("sgd", "mse")
    y = np.sin(2 * np.pi * 40 * x)
    response = ResponseFrequency(x, y, cutoffs=[4.0])  # 10 waves over 1
    model.fit(x, y, batch_size=200, epochs=1, verbose=0, callbacks=[response])
    run = response.results.isel(step=0, cutoff=0)
    assert run.input_target_frequency > 0.95  # of the input, the target varies fast
    assert run.response_frequency.sel(layer="fast") > 0.95  # so does what the layer gives
    assert run.target_frequency.sel(layer="fast") < 0.05  # of that, the target varies slowly
    assert run.target_frequency.sel(layer="slow") < 0.05


def test_it_sees_the_frequency_that_tells_the_class_of_textures():
    shares = {}
    for pattern in ("low", "high"):
        data = keras_lcb.vision.load("synthetic_textures", pattern=pattern, images=320)
        model = keras_lcb.vision.build_cnn(data.shape, data.classes, depth=2, width=4)
        model.compile("sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
        images, labels = next(iter(data.train.unbatch().batch(256)))
        response = ResponseFrequency(images, labels, cutoffs=[0.3, 0.5], layers=["conv_1"])
        model.fit(data.train.take(1), verbose=0, callbacks=[response])
        run = response.results
        shares[pattern] = float(run.input_target_frequency.sel(cutoff=0.5))
        assert ((run.response_frequency >= 0) & (run.response_frequency <= 1)).all()
    assert shares["high"] > 0.9 > shares["low"] + 0.1


def test_training_is_the_same_as_without_it():
    weights = []
    x, y = probe()
    for callbacks in ([], [ResponseFrequency(x, y, every=1, cutoffs=CUTOFFS)]):
        model = compiled(dense("a", "b"))
        train(model, *callbacks, epochs=2)
        weights.append([keras.ops.convert_to_numpy(v) for v in model.variables])
    assert callbacks[0].results.step.values.tolist() == [0, 1, 2, 3, 4]
    for one, other in zip(*weights, strict=True):
        np.testing.assert_array_equal(one, other)


def test_what_is_missing_is_explained():
    x, y = probe()
    model = compiled(dense("a", "b"))
    callback = ResponseFrequency(x, cutoffs=CUTOFFS)
    model.get_layer("a").kernel.assign(np.zeros((6, 4)))
    train(model, callback, epochs=1)
    run = callback.results
    assert "target_frequency" not in run
    reasons = schema.missing(run)
    assert reasons["target_frequency"] == "No target was given."
    assert "the same for all samples" in reasons["response_frequency/a"]


@pytest.mark.parametrize("cutoffs", [[0.1, 1.0], [1.0]], ids=["some", "all"])
def test_outputs_that_lie_too_far_apart_are_left_out_with_a_reason(cutoffs):
    class Apart(layers.Layer):
        """Maps each sample to a separate axis."""

        def build(self, shape):
            self.scale = self.add_weight(name="scale", shape=(), initializer="ones")

        def call(self, x):
            return self.scale * keras.ops.one_hot(keras.ops.cast(x[:, 0], "int32"), 30)

    x = np.arange(30.0)[:, None].astype("float32")
    model = keras.Sequential([keras.Input((1,)), Apart(name="apart"), layers.Dense(1, name="out")])
    model.compile("sgd", "mse")
    callback = ResponseFrequency(x, x, cutoffs=cutoffs)
    model.fit(x, x, epochs=1, verbose=0, callbacks=[callback])
    found = callback.results.target_frequency.sel(layer="apart")
    assert found.notnull().all("step").values.tolist() == [cutoff < 1 for cutoff in cutoffs]
    reason = schema.missing(callback.results)["target_frequency/apart"]
    assert "were so far apart" in reason and "the same for all samples" not in reason


def test_a_dead_layer_is_not_said_to_be_too_far_apart():
    x, y = probe()
    model = compiled(dense("a", "b"))
    callback = ResponseFrequency(x, y, cutoffs=CUTOFFS)
    model.get_layer("a").kernel.assign(np.zeros((6, 4)))
    train(model, callback, epochs=1)
    reason = schema.missing(callback.results)["target_frequency/a"]
    assert "the same for all samples" in reason and "far apart" not in reason


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"cutoffs": [0.4, 0.2]}, "`cutoffs` must be above 0 and ascending"),
        ({"cutoffs": [0.0]}, "`cutoffs` must be above 0"),
        ({"cutoffs": []}, "`cutoffs` must be a list of frequencies"),
        ({"cutoffs": 0.3}, "`cutoffs` must be a list of frequencies"),
        ({"cutoffs": ["a"]}, r"`cutoffs` must be a list of frequencies.*\['a'\]"),
        ({"cutoffs": [[0.1], [0.2, 0.3]]}, "`cutoffs` must be a list of frequencies"),
        ({"x": np.full((30, 6), np.nan)}, "30 of the 30 samples in `x` have values that are NaN"),
        ({"x": np.full((30, 6), "a")}, "`x` holds text"),
        ({"y": np.r_[np.nan, np.zeros(28), 1]}, "`y` is NaN or infinite for 1 of 30 samples"),
        ({"y": np.full(30, "a")}, "`y` must hold numbers"),
        ({"cutoffs": [0.2, 2.0]}, "30 samples are too far apart for a cut-off of 2"),
        ({"y": np.zeros(30, dtype=int)}, "`y` is the same for all samples"),
        ({"y": np.zeros(29)}, "the same number of samples"),
        ({"x": np.ones((30, 6))}, "Received 30 samples that are all the same"),
        (
            {"x": iter([np.ones((5, 2)), np.ones((5, 3))]), "y": None, "steps": 2},
            "All samples must have the same shape",
        ),
    ],
)
def test_settings_that_do_not_work_are_refused(arguments, message):
    x, y = probe()
    with pytest.raises(ValueError, match=message):
        ResponseFrequency(**({"x": x, "y": y, "cutoffs": CUTOFFS} | arguments))
