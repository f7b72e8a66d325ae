"""The parts of a network add up to its output, or it is refused."""

import contextlib

import keras
import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from keras_lcb.synthetic import decompose, networks

X = np.linspace(-np.pi, np.pi, 32, endpoint=False)[:, None]


def predict(model, x=X):
    return keras.ops.convert_to_numpy(model(x))[:, 0]


@given(
    depth=st.integers(1, 6),
    width=st.integers(1, 24),
    activation=st.sampled_from(["relu", "tanh", "swish"]),
    normalization=st.sampled_from([None, "layer", "batch"]),
    initializer=st.sampled_from(["glorot_uniform", "fan_in", "orthogonal"]),
    period=st.sampled_from([None, 2 * np.pi]),
    seed=st.integers(0, 1000),
)
@settings(max_examples=8, deadline=None)
def test_parts_add_up_to_the_output(depth, width, activation, seed, **options):
    # Normalizing two units makes a step of them, at which any rounding error becomes large.
    assume(options["normalization"] != "layer" or width > 2)
    model = networks.build_network(depth, width, True, activation, seed=seed, **options)
    parts = decompose(model, X)
    assert parts.dims == ("layer", "x")
    names = [f"layer_{index}" for index in range(depth)]
    assert parts.layer.values.tolist() == [*names, "readout_bias"]
    np.testing.assert_allclose(parts.sum("layer"), predict(model), atol=1e-5)
    np.testing.assert_allclose(parts.x, X[:, 0], atol=1e-6)


def test_parts_add_up_in_the_deepest_network():
    model = networks.build_network(64, 32, True, initializer="fan_in")
    parts = decompose(model, X)
    assert parts.sizes["layer"] == 65
    np.testing.assert_allclose(parts.sum("layer"), predict(model), atol=1e-5)


def test_each_part_is_what_its_layer_adds():
    model = networks.build_network(3, 8, True, "tanh", initializer="fan_in")
    weights, bias = model.get_layer("readout").get_weights()
    hidden, parts = X, decompose(model, X)
    for index in range(3):
        kernel, shift = model.get_layer(f"layer_{index}").get_weights()
        added = np.tanh(hidden @ kernel + shift)
        hidden = added if index == 0 else hidden + added
        expected = (added @ weights)[:, 0]
        np.testing.assert_allclose(parts.sel(layer=f"layer_{index}"), expected, atol=1e-5)
    np.testing.assert_allclose(parts.sel(layer="readout_bias"), bias[0], atol=1e-7)


def test_parts_follow_training():
    model = networks.build_network(3, 16, True)
    before = decompose(model, X)
    model.compile("adam", "mse")
    model.fit(X, np.sin(X), epochs=3, verbose=0)
    after = decompose(model, X)
    assert abs(after - before).max() > 1e-4
    np.testing.assert_allclose(after.sum("layer"), predict(model), atol=1e-5)


def test_parts_can_be_read_during_training():
    class Reader(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            self.parts = decompose(self.model, X)

    model = networks.build_network(2, 8, True)
    model.compile("sgd", "mse")
    reader = Reader()
    model.fit(X, np.sin(X), epochs=3, verbose=0, callbacks=[reader])
    np.testing.assert_array_equal(reader.parts, decompose(model, X))
    assert abs(reader.parts - decompose(networks.build_network(2, 8, True), X)).max() > 1e-4


def test_a_sum_built_by_hand_is_read_too():
    inputs = keras.Input((1,))
    hidden = keras.layers.Dense(4, "relu", name="lift")(inputs)
    hidden = hidden + keras.layers.Dense(4, "tanh", name="block")(hidden)
    wide = keras.layers.Dense(9, "relu")(hidden)
    hidden = keras.layers.Add()([hidden, keras.layers.Dense(4, name="narrow")(wide)])
    model = keras.Model(inputs, keras.layers.Dense(1, use_bias=False)(hidden))
    parts = decompose(model, X)
    assert parts.layer.values.tolist() == ["lift", "block", "narrow"]
    np.testing.assert_allclose(parts.sum("layer"), predict(model), atol=1e-5)


def test_a_layer_that_is_called_twice_has_the_sum_of_its_parts():
    inputs = keras.Input((1,))
    shared, out = keras.layers.Dense(4, "tanh", name="shared"), keras.layers.Dense(1, name="out")
    once = keras.layers.Dense(4, name="first")(inputs)
    twice = once + shared(once)
    model = keras.Model(inputs, out(twice + shared(twice)))
    first, kernel, weights = (
        model.get_layer(name).get_weights()[0] for name in ("first", "shared", "out")
    )
    h = X @ first  # all biases are 0
    added = np.tanh(h @ kernel)
    expected = added + np.tanh((h + added) @ kernel)
    parts = decompose(model, X)
    assert parts.layer.values.tolist() == ["first", "shared", "readout_bias"]
    np.testing.assert_allclose(parts.sel(layer="first"), (h @ weights)[:, 0], atol=1e-5)
    np.testing.assert_allclose(parts.sel(layer="shared"), (expected @ weights)[:, 0], atol=1e-5)
    np.testing.assert_allclose(parts.sum("layer"), predict(model), atol=1e-5)


def network(*, last=None, head=None, added=True):
    """A residual network with something else at its end."""
    inputs = keras.Input((1,))
    hidden = keras.layers.Dense(4, "relu")(inputs)
    block = keras.layers.Dense(4, "relu")(hidden)
    hidden = keras.layers.Add()([hidden, block]) if added else block
    if last is not None:
        hidden = last(hidden)
    return keras.Model(inputs, (head or keras.layers.Dense(1))(hidden))


@pytest.mark.parametrize(
    ("build", "says"),
    [
        (lambda: networks.build_network(3, 4), "must be a sum"),
        (lambda: network(added=False), "must be a sum"),
        (lambda: network(last=keras.layers.LayerNormalization()), "received normalized features"),
        (lambda: network(last=keras.layers.BatchNormalization()), "received normalized features"),
        (lambda: network(last=keras.layers.ReLU()), "must be a sum"),
        (lambda: network(head=keras.layers.Dense(1, "tanh")), "must be linear"),
        (lambda: network(head=keras.layers.Dense(2)), "one unit"),
        (
            lambda: network(
                head=lambda h: keras.layers.Activation("tanh")(keras.layers.Dense(1)(h))
            ),
            "must end in a linear Dense layer",
        ),
        (
            lambda: keras.Sequential(
                [keras.Input((1,)), keras.layers.Dense(4), keras.layers.Dense(3, "relu")]
                + [keras.layers.Dense(1)]
            ),
            "must be a sum",
        ),
    ],
)
def test_an_output_that_is_no_sum_is_refused(build, says):
    with pytest.raises(ValueError, match=says):
        decompose(build(), X)


def test_one_normalized_hidden_layer_is_refused_too():
    inputs = keras.Input((1,))
    hidden = keras.layers.LayerNormalization()(keras.layers.Dense(4)(inputs))
    with pytest.raises(ValueError, match="normalized"):
        decompose(keras.Model(inputs, keras.layers.Dense(1)(hidden)), X)


def test_each_part_is_named_after_what_made_it():
    inputs, inner = keras.Input((1,)), keras.Input((4,))
    first = keras.layers.Dense(4, name="first")(inputs)
    block = keras.Model(inner, keras.layers.Dense(4, "tanh")(inner), name="block")
    gate = keras.layers.Multiply(name="gate")([first, keras.layers.Dense(4, "sigmoid")(first)])
    hidden = keras.layers.Add()([first, block(first), gate, inputs])
    model = keras.Model(inputs, keras.layers.Dense(1)(hidden))
    parts = decompose(model, X)
    assert parts.layer.values.tolist()[:3] == ["first", "block", "gate"]
    kernel = model.layers[-1].get_weights()[0]
    own = keras.ops.convert_to_numpy(block(model.get_layer("first")(X))) @ kernel
    np.testing.assert_allclose(parts.sel(layer="block"), own[:, 0], atol=1e-5)
    np.testing.assert_allclose(parts.sum("layer"), predict(model), atol=1e-5)


class Halved(keras.layers.Dense):
    def call(self, inputs, training=None):
        return 0.5 * super().call(inputs)


def test_a_read_out_that_does_not_multiply_by_its_kernel_is_refused():
    quantized = networks.build_network(3, 8, residual=True)
    quantized.quantize("int8")
    for model in (network(head=Halved(1)), quantized):
        with pytest.raises(ValueError, match="not the sum of its layers' parts"):
            decompose(model, X)


@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16", "float64"])
def test_rounding_of_other_precisions_is_no_reason_to_refuse(policy):
    with _policy(policy):
        model = networks.build_network(4, 16, residual=True)
    assert decompose(model, X).sizes["layer"] == 5


@contextlib.contextmanager
def _policy(name):
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(name)
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)
