"""Names of layers follow from what contains them, and stay when a model is saved or copied."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from keras import layers

from keras_lcb.training.layers import tracked_layers
from keras_lcb.training.tree import places


def names(model):
    return [layer.name for layer in tracked_layers(model).layers]


@keras.saving.register_keras_serializable("keras_lcb_tests")
class Block(layers.Layer):
    """A layer whose constructor makes layers that Keras names."""

    def __init__(self, **options):
        super().__init__(**options)
        self.mix = [layers.Dense(4), layers.Dense(4)]
        self.inner = keras.Sequential([layers.Dense(4), layers.LayerNormalization()])
        self.out = layers.Dense(4, name="last")

    def build(self, shape):
        for layer in (*self.mix, self.inner, self.out):
            layer.build((*shape[:-1], 4))

    def call(self, inputs):
        for layer in self.mix:
            inputs = layer(inputs)
        return self.out(self.inner(inputs))

    def get_config(self):
        return {**super().get_config(), "name": self.name}  # which Keras forgets otherwise


@keras.saving.register_keras_serializable("keras_lcb_tests")
class Net(keras.Model):
    def __init__(self, **options):
        super().__init__(**options)
        self.blocks = [Block(), Block()]
        self.by_key = {"side": layers.Dense(4)}
        self._hidden = layers.Dense(4)
        self.timed = layers.TimeDistributed(layers.Dense(4))
        self.recurrent = layers.Bidirectional(layers.GRU(2))
        self.head = layers.Dense(1)

    def call(self, inputs):
        for block in self.blocks:
            inputs = block(inputs)
        return self.head(self.recurrent(self.timed(self._hidden(self.by_key["side"](inputs)))))


NET = [
    *(
        f"blocks/{number}/{inside}"
        for number in range(2)
        for inside in ("mix/0", "mix/1", "inner/dense", "inner/layer_normalization", "last")
    ),
    "by_key/side",
    "_hidden",
    "timed/layer",
    "recurrent/forward_layer",
    "recurrent/backward_layer",
    "head",
]


def test_layers_that_a_constructor_makes_are_called_after_their_attributes():
    model = Net()
    model(np.ones((1, 3, 4)))
    assert names(model) == NET
    another = Net()  # Keras' own names go on counting
    another(np.ones((1, 3, 4)))
    assert names(another) == NET


def block_in_a_graph():
    inputs = keras.Input((3, 4))
    signal = layers.TimeDistributed(layers.Dense(4))(inputs)
    signal = Block(name="block")(signal)
    signal = layers.Bidirectional(layers.GRU(2, name="gru"), name="both")(signal)
    return keras.Model(inputs, layers.Dense(1)(signal))


def test_layers_of_a_graph_have_their_own_names():
    model = block_in_a_graph()
    timed, head = model.layers[1], model.layers[-1]
    assert names(model) == [
        f"{timed.name}/{timed.layer.name}",
        "block/mix/0",
        "block/mix/1",
        "block/inner/dense",
        "block/inner/layer_normalization",
        "block/last",
        "both/forward_gru",
        "both/backward_gru",
        head.name,
    ]


def towers():
    """Two towers whose layers have equal names, and a model that is nested twice."""

    def tower(name):
        deep = keras.Sequential([keras.Input((4,)), layers.Dense(4, name="a")], name="deep")
        parts = [keras.Input((4,)), deep, layers.Dense(4, name="b")]
        return keras.Sequential(parts, name=name)

    inputs = keras.Input((4,))
    sides = [tower("left")(inputs), tower("right")(inputs)]
    return keras.Model(inputs, layers.Dense(1, name="head")(layers.Add(name="sum")(sides)))


def test_equal_names_in_two_towers_stay_apart():
    assert sorted(names(towers())) == [
        "head",
        "left/b",
        "left/deep/a",
        "right/b",
        "right/deep/a",
    ]


@pytest.mark.parametrize("make", [block_in_a_graph, towers, Net])
def test_names_are_the_same_after_saving_loading_and_cloning(make, tmp_path):
    model = make()
    shape = (1, 3, 4) if make is not towers else (1, 4)
    model(np.ones(shape))
    before = names(model)
    model.save(tmp_path / "model.keras")
    assert names(keras.models.load_model(tmp_path / "model.keras")) == before
    if make is not Net:
        assert names(keras.models.clone_model(model)) == before
    again = type(model).from_config(model.get_config())
    again(np.ones(shape))
    assert names(again) == before


def test_names_do_not_depend_on_when_a_nested_model_was_built():
    inner = keras.Sequential([layers.Dense(4, name="a")], name="inner")  # built by its use
    built = keras.Sequential([keras.Input((4,)), layers.Dense(4, name="a")], name="built")
    inputs = keras.Input((4,))
    model = keras.Model(inputs, built(inner(inputs)))
    assert names(model) == ["inner/a", "built/a"]


def test_a_shared_layer_stands_where_it_was_attached_first():
    shared = layers.Dense(4, name="shared")
    inner = keras.Sequential([keras.Input((4,)), shared], name="inner")
    inputs = keras.Input((4,))
    model = keras.Model(inputs, shared(inner(inputs)))
    assert names(model) == ["inner/shared"]


def test_a_model_of_one_model_of_its_name_is_that_model():
    inputs = keras.Input((4,))
    inner = keras.Sequential([keras.Input((4,)), layers.Dense(4, name="a")], name="net")
    assert names(keras.Model(inputs, inner(inputs), name="net")) == ["a"]
    assert names(keras.Model(inputs, inner(inputs), name="other")) == ["net/a"]


def test_places_know_what_is_around_them():
    model = towers()
    (place,) = [each for each in places(model) if each.path == "left/deep/a"]
    assert [around.path for around in place.inside] == ["left", "left/deep"]
    assert places(model)[0].layer is model and places(model)[0].path == ""
