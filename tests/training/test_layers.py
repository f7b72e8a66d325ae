"""Which variable belongs to which layer, in the order in which a model calls its layers."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from keras import layers

from keras_lcb.training.layers import (
    check_built,
    check_trainable_model,
    select_layers,
    tracked_layers,
)


def names(model):
    return [layer.name for layer in tracked_layers(model).layers]


def roles(model):
    return {layer.name: layer.role for layer in tracked_layers(model).layers}


def sizes(model):
    return {layer.name: layer.parameters for layer in tracked_layers(model).layers}


def functional(*chain, shape=(4,), dtype=None):
    inputs = outputs = keras.Input(shape, dtype=dtype)
    for layer in chain:
        outputs = layer(outputs)
    return keras.Model(inputs, outputs)


def test_layers_without_parameters_are_left_out():
    model = functional(layers.Dense(3, name="a"), layers.Dropout(0.5), layers.Dense(1, name="b"))
    assert names(model) == ["a", "b"]
    assert sizes(model) == {"a": 15, "b": 4}
    assert roles(model) == {"a": "hidden", "b": "head"}


def test_what_does_not_train_is_not_counted():
    model = functional(layers.Dense(3, name="a"), layers.BatchNormalization(name="norm"))
    assert sizes(model)["norm"] == 6  # gamma and beta, not the moving statistics
    model.get_layer("a").trainable = False
    assert sizes(model)["a"] == 15  # a frozen layer stays


def test_a_head_is_what_feeds_an_output_through_layers_without_parameters():
    model = functional(
        layers.Embedding(5, 2, name="rows"),
        layers.Flatten(),
        layers.Dense(3, name="a"),
        layers.LayerNormalization(name="norm"),
        layers.Dense(2, name="b"),
        layers.Softmax(),
        shape=(4,),
        dtype="int32",
    )
    assert roles(model) == {
        "rows": "embedding",
        "a": "hidden",
        "norm": "normalization",
        "b": "head",
    }


def test_a_shared_layer_counts_once():
    shared = layers.Dense(4, name="shared")
    assert names(functional(shared, layers.Dense(4, name="between"), shared)) == [
        "shared",
        "between",
    ]


def test_nested_models_give_paths():
    inner = keras.Sequential(
        [keras.Input((4,)), layers.Dense(4, name="a"), layers.Dense(4, name="b")], name="block"
    )
    model = functional(layers.Dense(4, name="a"), inner, layers.Dense(1, name="head"))
    assert names(model) == ["a", "block/a", "block/b", "head"]


def test_equal_paths_are_made_unique():
    class Twins(keras.Model):
        def __init__(self):
            super().__init__()
            self.first = layers.Dense(3, name="same")
            self.second = layers.Dense(2, name="same")

        def call(self, inputs):
            return self.second(self.first(inputs))

    model = Twins()
    model(np.ones((1, 4)))
    first, second = names(model)
    assert second == f"{first}_1"


class Backwards(keras.Model):
    """Calls its layers in another order than that in which it holds them."""

    def __init__(self):
        super().__init__()
        self.last = layers.Dense(1, name="last")
        self.idle = layers.Dense(2, name="idle")
        self.first = layers.Dense(3, name="first")

    def build(self, shape):
        self.first.build(shape)
        self.last.build((None, 3))
        self.idle.build(shape)

    def call(self, inputs):
        return self.last(self.first(inputs))


def test_the_order_is_that_of_the_calls():
    model = Backwards()
    model.build((None, 4))
    order = tracked_layers(model)
    assert [layer.name.split("/")[-1] for layer in order.layers] == ["first", "last", "idle"]
    (idle,) = [name for name in order.notes if name.endswith("idle")]
    assert "never called" in order.notes[idle]
    assert order.layers[1].role == "head"


def test_a_model_that_cannot_be_called_symbolically_keeps_keras_order():
    class Stubborn(Backwards):
        def call(self, inputs):
            raise TypeError("numbers only")

    model = Stubborn()
    model.build((None, 4))
    order = tracked_layers(model)
    assert [layer.name.split("/")[-1] for layer in order.layers] == ["last", "idle", "first"]
    assert "Keras' order" in order.notes[""] and "numbers only" in order.notes[""]


def test_the_cells_of_a_recurrent_layer_are_reported_under_it():
    model = functional(
        layers.Bidirectional(layers.GRU(2, name="gru"), name="bi"),
        layers.Dense(1, name="head"),
        shape=(3, 2),
    )
    assert names(model) == ["bi/forward_gru", "bi/backward_gru", "head"]
    stacked = layers.RNN([layers.LSTMCell(2), layers.LSTMCell(2)], name="stack")
    model = functional(stacked, shape=(3, 2))
    assert names(model) == ["stack"]
    assert sizes(model)["stack"] == sum(np.prod(v.shape) for v in model.trainable_variables)


def test_attention_is_split_into_its_projections():
    inputs = keras.Input((3, 4))
    attention = layers.MultiHeadAttention(2, 2, name="attention")
    model = keras.Model(inputs, attention(inputs, inputs))
    assert names(model) == [
        "attention/query",
        "attention/key",
        "attention/value",
        "attention/attention_output",
    ]


def test_every_trainable_variable_has_one_layer():
    model = functional(
        layers.Conv1D(2, 2),
        layers.BatchNormalization(),
        layers.LSTM(2),
        layers.Dense(1),
        shape=(4, 2),
    )
    found = [id(v) for layer in tracked_layers(model).layers for v in layer.variables]
    assert sorted(found) == sorted(id(v) for v in model.trainable_variables)


def test_kernels_have_two_axes_or_more():
    model = functional(
        layers.Conv1D(2, 2, name="a"), layers.BatchNormalization(name="b"), shape=(4, 2)
    )
    a, b = tracked_layers(model).layers
    assert [v.name for v in a.kernels] == ["kernel"] and b.kernels == ()


def test_looking_changes_nothing():
    model = functional(
        layers.Dense(3), layers.BatchNormalization(), layers.Dropout(0.5, seed=1), layers.Dense(1)
    )
    before = [keras.ops.convert_to_numpy(v) for v in model.variables]
    attributes = {id(layer): set(vars(layer)) for layer in model.layers}
    tracked_layers(model)
    for variable, value in zip(model.variables, before, strict=True):
        np.testing.assert_array_equal(keras.ops.convert_to_numpy(variable), value)
    assert attributes == {id(layer): set(vars(layer)) for layer in model.layers}


def test_a_layer_that_is_added_later_is_seen():
    model = keras.Sequential([keras.Input((4,)), layers.Dense(3, name="a")])
    assert names(model) == ["a"]
    model.add(layers.Dense(2, name="b"))
    assert names(model) == ["a", "b"]


# What is refused.


def test_an_unbuilt_model():
    with pytest.raises(ValueError, match=r"not built.*keras.Input\(shape\)"):
        check_built(keras.Sequential([layers.Dense(2)]))


def test_no_optimizer_and_nothing_to_train():
    model = functional(layers.Dense(2))
    with pytest.raises(ValueError, match="not compiled"):
        check_trainable_model(model, None)
    model.trainable = False
    with pytest.raises(ValueError, match="every layer is frozen"):
        check_trainable_model(model, object())


# Choosing and grouping.


@pytest.fixture(scope="module")
def chain():
    blocks = [
        keras.Sequential(
            [keras.Input((4,)), layers.Dense(4, name="a"), layers.BatchNormalization(name="n")],
            name=name,
        )
        for name in ("block1", "block2")
    ]
    model = functional(*blocks, layers.Dense(1, name="head"))
    return tracked_layers(model).layers


def test_no_selection_is_every_layer(chain):
    assert select_layers(chain, None) == list(chain)


def test_names_and_prefixes(chain):
    rows = select_layers(chain, ["head", "block1", "block2/a"])
    assert [row.name for row in rows] == ["block1", "block2/a", "head"]  # in the order of calls
    assert rows[0].kind == "Dense+BatchNormalization" and rows[0].role == "hidden"
    assert rows[0].parameters == 20 + 8
    assert rows[1] is chain[2]


def test_a_function_groups_and_leaves_out(chain):
    rows = select_layers(chain, lambda layer: "dense" if isinstance(layer, layers.Dense) else None)
    assert [row.name for row in rows] == ["dense"]
    assert rows[0].parameters == 20 + 20 + 5


def test_unknown_names_get_the_nearest(chain):
    with pytest.raises(ValueError, match=r"No layer is called 'haed'.*Nearest: head"):
        select_layers(chain, ["haed"])
    with pytest.raises(ValueError, match=r"Did you mean layers=\['head'\]"):
        select_layers(chain, "head")
    with pytest.raises(ValueError, match="leaves no layer"):
        select_layers(chain, lambda layer: None)
    with pytest.raises(ValueError, match="leaves no layer"):
        select_layers(chain, [])
