"""Features against layers written out in NumPy, and what is left behind."""

import gc
import weakref

import keras
import numpy as np
import pytest

from keras_lcb.synthetic import decomposition, features, networks, probes

X = np.linspace(-3, 3, 17)[:, None]


@pytest.mark.parametrize("residual", [False, True])
def test_features_are_what_the_next_layer_gets(residual):
    model = networks.build_network(3, 6, residual, "tanh", initializer="fan_in")
    hidden = X
    for name, values in features.layer_features(model, X).items():
        kernel, bias = model.get_layer(name).get_weights()
        out = np.tanh(hidden @ kernel + bias)
        hidden = hidden + out if residual and name != "layer_0" else out
        np.testing.assert_allclose(values, hidden, atol=1e-5)
    assert name == "layer_2"


def test_features_follow_the_weights():
    model = networks.build_network(2, 4)
    features.layer_features(model, X)
    model.set_weights([0 * w for w in model.get_weights()])
    assert not any(values.any() for values in features.layer_features(model, X).values())


def test_normalized_features_are_those_after_the_activation():
    model = networks.build_network(2, 8, normalization="layer", initializer="fan_in")
    values = features.layer_features(model, X)
    assert list(values) == ["layer_0", "layer_1"]
    assert min(v.min() for v in values.values()) == 0


def test_a_layer_used_elsewhere_too_is_read_where_it_stands():
    model = networks.build_network(2, 4, initializer="fan_in")
    before = features.layer_features(model, X)
    model.get_layer("layer_1")(keras.Input((4,)))
    clone = keras.Model(model.inputs, model.outputs)
    for name, values in features.layer_features(clone, X).items():
        np.testing.assert_array_equal(values, before[name])


@pytest.mark.parametrize("function", [features.layer_features, decomposition.decompose])
def test_reading_a_model_keeps_nothing_alive(function):
    model = networks.build_network(2, 4, residual=True)
    function(model, X)
    function(model, X)
    gone = weakref.ref(model)
    del model
    gc.collect()
    assert gone() is None
    cached = (*features._feature_models.values(), *decomposition._decompositions.values())
    assert not any("residual_2x4" in str(value) for value in cached)


def test_reading_a_model_leaves_its_saved_form_alone():
    model = networks.build_network(2, 4, residual=True)
    before = model.to_json()
    features.layer_features(model, X)
    decomposition.decompose(model, X)
    assert model.to_json() == before


class Subclassed(keras.Model):
    def call(self, inputs):
        return inputs


@pytest.mark.parametrize("function", [features.layer_features, decomposition.decompose])
def test_what_is_no_network_is_refused(function):
    with pytest.raises(ValueError, match="must be a functional model"):
        function(Subclassed(), X)
    inputs = keras.Input((1,))
    with pytest.raises(ValueError, match="1 Dense layers"):
        function(keras.Model(inputs, keras.layers.Dense(1)(inputs)), X)
    wide = keras.Input((3,))
    with pytest.raises(ValueError, match="function of one variable"):
        hidden = keras.layers.Dense(4)(wide)
        function(keras.Model(wide, keras.layers.Dense(1)(hidden)), X)
    two = keras.Model([inputs, keras.Input((1,))], keras.layers.Dense(1)(inputs))
    with pytest.raises(ValueError, match="one input"):
        function(two, X)
    for wrong in (X[:, 0], np.zeros((3, 2)), np.zeros((0, 1))):
        with pytest.raises(ValueError, match=r"shape \(n, 1\)"):
            function(networks.build_network(2, 4, residual=True), wrong)


def test_layers_side_by_side_are_no_chain():
    """What the one in second place receives is not what the first one passes on."""
    inputs = keras.Input((1,))
    sides = [keras.layers.Dense(4, "tanh", name=name)(inputs) for name in "ab"]
    model = keras.Model(inputs, keras.layers.Dense(1)(keras.layers.Concatenate()(sides)))
    with pytest.raises(ValueError, match="'b' does not receive the output of 'a'"):
        features.layer_features(model, X)


@pytest.mark.parametrize("activation", ["relu", "tanh"])
def test_a_network_that_diverged_has_no_features(activation):
    """TensorFlow's fused ReLU makes 0 of NaN."""
    model = networks.build_network(3, 8, activation=activation)
    model.set_weights([np.nan * weights for weights in model.get_weights()])
    x = np.linspace(-1, 1, 64)[:, np.newaxis]
    assert all(np.isnan(own).all() for own in features.layer_features(model, x).values())
    assert probes.probe(model, x, [1, 3]).r2.isnull().all()
