"""Gram matrices of layers' outputs, against the outputs themselves, of every kind of model."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from keras import layers

import keras_lcb
from keras_lcb.similarity.grams import GramReader
from keras_lcb.training.layers import tracked_layers
from keras_lcb.training.selection import select_layers

BACKEND = keras.backend.backend()


def gram(*outputs):
    total = 0.0
    for output in outputs:
        x = np.asarray(keras.ops.convert_to_numpy(output), "float64").reshape(len(output), -1)
        x = x - x.mean(axis=0)
        total = total + x @ x.T
    return total


def samples(*shape, count=6):
    return np.random.default_rng(0).normal(size=(count, *shape)).astype("float32")


def reader_of(model, selection=None):
    return GramReader(model, select_layers(tracked_layers(model).layers, selection), selection)


def check(model, x, expected, selection=None, rtol=1e-5):
    """Compares Gram matrices with those of the outputs of each row."""
    reader = reader_of(model, selection)
    assert reader._names == list(expected)
    for found, outputs in zip(reader(x), expected.values(), strict=True):
        outputs = outputs if isinstance(outputs, list) else [outputs]
        truth = gram(*outputs)
        np.testing.assert_allclose(found, truth, rtol=rtol, atol=rtol * abs(truth).max())
    assert not reader.unread


class Shared(keras.Model):
    """A subclassed model that calls a layer twice, and a part of it by hand."""

    def __init__(self):
        super().__init__()
        self.twice = layers.Dense(3, "tanh")
        self.block = keras.Sequential([layers.Dense(4, "relu", name="in"), layers.Dense(3)])
        self.out = layers.Dense(1)

    def call(self, x, training=False):
        h = self.twice(x)
        return self.out(self.block(self.twice(h)) + h)


def test_functional_models():
    inputs = keras.Input((8, 8, 1))
    a = layers.Conv2D(2, 3, name="a")(inputs)
    b = layers.Dense(3, name="b")(layers.Flatten()(layers.ReLU()(a)))
    model = keras.Model(inputs, b)
    x = samples(8, 8, 1)
    first = model.get_layer("a")(x)
    check(model, x, {"a": first, "b": model(x)})


def test_subclassed_models_nested_ones_and_a_layer_that_is_called_twice():
    model, x = Shared(), samples(3)
    model(x)
    once = model.twice(x)
    twice = model.twice(once)
    inner = model.block.layers[0](twice)
    expected = {
        "twice": [once, twice],
        "block/in": inner,
        "block/dense": model.block(twice),
        "out": model(x),
    }
    check(model, x, expected)
    check(model, x, {"block": model.block(twice), "out": model(x)}, ["block", "out"])


def test_a_wrapped_model_is_read_like_the_model():
    model = keras.Sequential([keras.Input((3,)), layers.Dense(2, name="a"), layers.Dense(1)])
    wrapped = keras_lcb.LayerwiseModel.from_model(model)
    wrapped.compile("sgd", "mse")
    x = samples(3)
    np.testing.assert_allclose(reader_of(wrapped)(x), reader_of(model)(x), rtol=1e-6)


def test_several_inputs_and_outputs_and_states():
    words, extra = keras.Input((4,), dtype="int32", name="w"), keras.Input((2,), name="e")
    embedded = layers.Embedding(5, 3, name="embed")(words)
    sequence, h, c = layers.LSTM(
        3, return_state=True, return_sequences=True, name="lstm", use_cudnn=False
    )(embedded)
    out = layers.Dense(1, name="out")(layers.Concatenate()([h, extra]))
    model = keras.Model({"w": words, "e": extra}, {"y": out, "c": c})
    tokens = np.random.default_rng(0).integers(0, 5, size=(6, 4)).astype("int32")
    x = {"w": tokens, "e": samples(2)}
    embedded = model.get_layer("embed")(tokens)
    sequence, h, c = model.get_layer("lstm")(embedded)
    out = model(x)["y"]
    check(model, x, {"embed": embedded, "lstm": [sequence, h, c], "out": out})


def test_blocks_are_read_after_their_shortcut():
    model = keras_lcb.vision.build_resnet((8, 8, 1), 3, depths=(1, 1), width=2)
    x = samples(8, 8, 1)

    def at(name):
        return keras.Model(model.input, model.get_layer(name).output)(x)

    ends = {
        "stem": "stem_relu",
        "stage1_block1": "stage1_block1_relu",
        "stage2_block1": "stage2_block1_relu",
        "head": "head",
    }
    check(model, x, {name: at(end) for name, end in ends.items()}, "blocks", rtol=1e-4)


def test_half_precision_is_added_up_in_single():
    policy = keras.DTypePolicy("mixed_bfloat16")
    model = keras.Sequential(
        [keras.Input((3,)), layers.Dense(500, dtype=policy, name="a"), layers.Dense(1, name="b")]
    )
    x = samples(3)
    hidden = model.layers[0](x)
    assert keras.backend.standardize_dtype(hidden.dtype) == "bfloat16"
    hidden = keras.ops.cast(hidden, "float32")
    reader = reader_of(model)
    found, truth = reader(x)[0], gram(hidden)
    np.testing.assert_allclose(found, truth, atol=1e-5 * truth.max())


class Draws(layers.Layer):
    """Draws in evaluation too, and counts its calls."""

    def __init__(self, **options):
        super().__init__(**options)
        self.seeds = keras.random.SeedGenerator(1)

    def build(self, shape):
        self.calls = self.add_weight(name="calls", trainable=False, initializer="zeros")
        self.scale = self.add_weight(name="scale", shape=shape[1:], initializer="ones")

    def call(self, x):
        self.calls.assign_add(1.0)
        return self.scale * x + keras.random.normal(keras.ops.shape(x), seed=self.seeds)


def test_the_model_stays_as_it_is():
    model = keras.Sequential(
        [
            keras.Input((3,)),
            layers.Dense(4, name="a"),
            layers.BatchNormalization(name="n"),
            layers.Dropout(0.5),
            Draws(name="d"),
        ]
    )
    model.compile("adam", "mse", metrics=["mae"])
    before = [np.array(keras.ops.convert_to_numpy(v)) for v in model.variables]
    reader = reader_of(model)
    attributes = [set(vars(layer)) for layer in [model, *model.layers]]
    x = samples(3)
    first, again = reader(x), reader(x)
    np.testing.assert_array_equal(first, again)  # the same draws, since the seeds stay
    for variable, value in zip(model.variables, before, strict=True):
        np.testing.assert_array_equal(keras.ops.convert_to_numpy(variable), value)
    assert [set(vars(layer)) for layer in [model, *model.layers]] == attributes


def test_the_present_weights_are_read_without_tracing_again():
    traced = []

    class Counted(layers.Dense):
        def call(self, x):
            traced.append(self.name)
            return super().call(x)

    model = keras.Sequential([keras.Input((3,)), Counted(2, name="a")])
    reader, x = reader_of(model), samples(3)
    one = reader(x)
    traced.clear()
    model.layers[0].kernel.assign(2 * model.layers[0].kernel)
    np.testing.assert_allclose(reader(x), 4 * one, rtol=1e-5)
    assert not traced or BACKEND == "torch"  # which runs it each time
    model.layers[0].trainable = False
    assert reader.is_current()


def test_features_that_do_not_vary_count_as_zero():
    model = keras.Sequential([keras.Input((3,)), layers.Dense(4, name="a")])
    kernel, bias = np.zeros((3, 4)), np.full(4, 0.1)
    model.set_weights([kernel, bias])
    assert not reader_of(model)(samples(3)).any()  # not even rounding
    kernel[:, 0] = np.nan
    model.set_weights([kernel, bias])
    assert np.isnan(reader_of(model)(samples(3))).all()


@pytest.mark.parametrize("size", [1e-30, 1e30])
def test_very_large_and_very_small_activations(size):
    """Products of them do not fit into float32. Each batch has its own largest activation."""
    model = keras.Sequential([keras.Input((3,)), layers.Dense(4, name="a")])
    kernel = np.random.default_rng(1).normal(size=(3, 4)).astype("float32")
    reader = reader_of(model)
    for x in (samples(3), 9 * samples(3)):
        model.set_weights([kernel, np.zeros(4)])
        usual = reader(x)
        model.set_weights([size * kernel, np.zeros(4)])
        np.testing.assert_allclose(reader(x) / size**2, usual, rtol=1e-4, atol=1e-5 * usual.max())
        check(model, x, {"a": model(x)})


def test_rows_without_activations_are_named():
    class Idle(keras.Model):
        def __init__(self):
            super().__init__()
            self.used = layers.Dense(2)
            self.table = layers.Embedding(3, 2)
            self.idle = layers.Dense(2)
            self.idle.build((None, 3))

        def call(self, x):
            return self.used(x) + self.table(np.array([0, 1]))[0]

    model, x = Idle(), samples(3)
    model(x)
    reader = reader_of(model)
    values = dict(zip(reader._names, reader(x), strict=True))
    assert np.isfinite(values["used"]).all()
    assert np.isnan(values["table"]).all() and np.isnan(values["idle"]).all()
    assert reader.unread == {
        "table": "The layer's output does not have one row for each sample; its shape is (2, 2).",
        "idle": "The model does not call the layer, so it has no output.",
    }


class Loop(layers.Layer):
    def __init__(self, **options):
        super().__init__(**options)
        self.inner = layers.Dense(3, name="inner")

    def build(self, shape):
        self.inner.build(shape)

    def call(self, x):
        return keras.ops.fori_loop(0, 2, lambda _, h: self.inner(h), x)


def test_a_layer_within_a_loop_is_refused_where_loops_are_traced():
    model = keras.Sequential([keras.Input((3,)), Loop(name="loop"), layers.Dense(1, name="out")])
    x = samples(3)
    if BACKEND == "torch":
        inner = model.layers[0].inner
        check(model, x, {"loop/inner": [inner(x), inner(inner(x))], "out": model(x)})
    else:
        with pytest.raises(
            ValueError, match=r"'loop/inner' cannot be read: the layer is called within a l"
        ):
            reader_of(model)(x)
    check(model, x, {"loop": model.layers[0](x), "out": model(x)}, ["loop", "out"])


def test_samples_that_do_not_fit_are_refused_in_a_sentence():
    model = keras.Sequential([keras.Input((3,)), layers.Dense(2)], name="net")
    with pytest.raises(ValueError, match="'net' cannot be called on the samples that were given"):
        reader_of(model)(samples(4))
