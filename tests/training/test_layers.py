"""Which variable belongs to which layer, in the order in which a model calls its layers."""

from __future__ import annotations

import random

import keras
import numpy as np
import pytest
from keras import layers

from keras_lcb.training.layers import (
    check_built,
    check_trainable_model,
    is_complete,
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
    assert "never calls" in order.notes[idle]
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


@pytest.mark.parametrize("mode", ["int8", "float8"])
def test_quantized_layers_count_what_trains(mode):
    model = functional(layers.Dense(8, name="a"), layers.Dense(8, name="b"), shape=(8,))
    for name in ("a", "b") if mode == "float8" else ("a",):
        model.get_layer(name).quantize(mode)
    if mode == "int8":
        model.get_layer("a").enable_lora(2)
    assert names(model) == ["a", "b"]
    assert roles(model) == {"a": "hidden", "b": "head"}
    # int8: two factors of rank 2 and the bias; float8: no histories, no scales
    assert sizes(model)["a"] == (2 * 8 * 2 + 8 if mode == "int8" else 72)


def test_the_frozen_kernel_of_a_lora_layer_does_not_count_even_if_the_layer_is_frozen():
    model = functional(layers.Dense(8, name="a"), layers.Dense(2, name="b"), shape=(8,))
    model.get_layer("a").enable_lora(2)
    assert sizes(model)["a"] == 2 * 8 * 2 + 8
    model.get_layer("a").trainable = False
    assert sizes(model)["a"] == 2 * 8 * 2 + 8


def test_shapes_of_kernels():
    model = functional(
        layers.Conv1D(3, 2, name="a"),
        layers.BatchNormalization(name="n"),
        layers.GRU(2, reset_after=False, name="g"),
        shape=(4, 2),
    )
    shapes = {layer.name: layer.shape for layer in tracked_layers(model).layers}
    assert shapes == {"a": "(2, 2, 3)", "n": "", "g": "(3, 6)+(2, 6)"}


class Wrapper(keras.Model):
    """Models without a `call` around them, as in the examples of VAEs and GANs."""

    def __init__(self):
        super().__init__()
        self.second = functional(layers.Dense(3, name="c"), layers.Dense(1, name="d"))
        self.first = Backwards()
        self.first(np.ones((1, 4)))


def test_a_wrapper_without_a_call_keeps_the_order_of_its_attributes():
    order = tracked_layers(Wrapper())
    assert [layer.name for layer in order.layers] == [
        "second/c",
        "second/d",
        "first/first",
        "first/last",
        "first/idle",
    ]
    assert [layer.role for layer in order.layers] == ["hidden", "head", "hidden", "head", "hidden"]
    assert "has no `call`" in order.notes[""] and "order of its attributes" in order.notes[""]
    assert "never calls" in order.notes["first/idle"]


def test_reasons_are_plain_text():
    class Coloured(Backwards):
        def call(self, inputs):
            return self.first(keras.ops.reshape(inputs, (7, 7)))

    model = Coloured()
    model.build((None, 4))
    note = tracked_layers(model).notes[""]
    assert "Keras' order" in note and "\x1b" not in note


def test_what_is_complete():
    assert is_complete(functional(layers.Dense(2)))
    assert is_complete(Wrapper())
    unbuilt = keras.Sequential([layers.Dense(2)])
    assert not is_complete(unbuilt)


def test_a_model_of_which_a_part_is_not_built_is_not_complete():
    class Half(keras.Model):
        def __init__(self):
            super().__init__()
            self.built_part = functional(layers.Dense(4))
            self.other = layers.Dense(2)

        def call(self, inputs):
            return self.other(self.built_part(inputs))

    model = Half()
    assert model.weights and not is_complete(model)
    model(np.ones((1, 4)))
    assert is_complete(model)


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


class Drawing(keras.Model):
    """A model that draws numbers outside of Keras, as stochastic depth often does."""

    def __init__(self):
        super().__init__()
        self.dense = layers.Dense(2)

    def call(self, x):
        return self.dense(x) * sum(drawn())


def drawn():
    numbers = [random.random(), np.random.rand()]
    if keras.backend.backend() == "torch":
        import torch

        numbers.append(float(torch.rand((), device="cpu")))
    return numbers


def test_looking_leaves_the_numbers_that_a_call_draws():
    def numbers_after(look):
        model = Drawing()
        model(np.ones((1, 3)))
        keras.utils.set_random_seed(1)
        look(model)
        return drawn()

    assert numbers_after(tracked_layers) == numbers_after(lambda model: None)


def test_a_layer_that_is_added_later_is_seen():
    model = keras.Sequential([keras.Input((4,)), layers.Dense(3, name="a")])
    assert names(model) == ["a"]
    model.add(layers.Dense(2, name="b"))
    assert names(model) == ["a", "b"]


# What is refused.


def test_what_is_no_model():
    with pytest.raises(ValueError, match="Expected a Keras model, but received 'm'"):
        tracked_layers("m")


def test_an_unbuilt_model():
    with pytest.raises(ValueError, match=r"not built.*keras.Input\(shape\)"):
        check_built(keras.Sequential([layers.Dense(2)]))


def test_nothing_to_train():
    model = functional(layers.Dense(2))
    model.trainable = False
    with pytest.raises(ValueError, match="all its layers are frozen"):
        check_trainable_model(model)


@keras.saving.register_keras_serializable("tests")
class Scaled(keras.Model):
    """A model with a weight of its own beside those of its layer."""

    def __init__(self, **options):
        super().__init__(**options)
        self.dense = keras.layers.Dense(2)

    def build(self, shape):
        self.scale = self.add_weight(shape=(), initializer="ones", name="scale")
        self.dense.build(shape)

    def call(self, x):
        return self.scale * self.dense(x)


def test_a_models_own_weights_have_a_name_that_files_keep(tmp_path):
    Scaled()  # so that the automatic name of the next one has a number
    model = Scaled()
    model(np.ones((1, 3)))
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    names = [[layer.name for layer in tracked_layers(each).layers] for each in (model, loaded)]
    assert names == [["scaled", "dense"], ["scaled", "dense"]]
    named = Scaled(name="mine")
    named(np.ones((1, 3)))
    assert tracked_layers(named).layers[0].name == "mine"
