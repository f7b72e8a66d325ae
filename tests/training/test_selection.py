"""Which layers are meant by names, by nested models, and by functions."""

from __future__ import annotations

import keras
import pytest
from keras import layers

from keras_lcb.training.layers import tracked_layers
from keras_lcb.training.selection import matching, select_layers


def functional(*chain, shape=(4,)):
    inputs = outputs = keras.Input(shape)
    for layer in chain:
        outputs = layer(outputs)
    return keras.Model(inputs, outputs)


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
    with pytest.raises(
        ValueError, match=r"No layer or nested model is called 'haed'.*Nearest: head"
    ):
        select_layers(chain, ["haed"])
    with pytest.raises(ValueError, match=r"Did you mean layers=\['head'\]"):
        select_layers(chain, "head")
    with pytest.raises(ValueError, match=r"received 'blok'. Did you mean layers='blocks'\?"):
        select_layers(chain, "blok")
    with pytest.raises(ValueError, match="selects no layer"):
        select_layers(chain, lambda layer: None)
    with pytest.raises(ValueError, match="selects no layer"):
        select_layers(chain, [])


@pytest.mark.parametrize("wrong", [3, layers.Dense(1, name="lone")])
def test_what_selects_no_layers(chain, wrong):
    with pytest.raises(ValueError, match="must be None, 'blocks', a list .* received"):
        select_layers(chain, wrong)


@pytest.mark.parametrize("wrong", [0, ["head"], None])
def test_what_is_no_layer(chain, wrong):
    with pytest.raises(ValueError, match="by its name or as a Keras layer; received .* The layers"):
        select_layers(chain, [wrong])


# What a name stands for.


@pytest.fixture(scope="module")
def numbered():
    chosen = ("block_1_conv", "block_1/conv", "block_10_conv", "block_1", "block_2_a", "conv1d")
    return tracked_layers(
        functional(*(layers.Dense(4, name=name.replace("/", "_of_")) for name in chosen))
    ).layers


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        ("block_1", ["block_1"]),  # a full name means that layer
        ("block_2", ["block_2_a"]),
        ("block_1_", ["block_1_conv", "block_1_of_conv"]),
        ("block", ["block_1_conv", "block_1_of_conv", "block_10_conv", "block_1", "block_2_a"]),
        ("block_10", ["block_10_conv"]),
    ],
)
def test_a_prefix_ends_at_a_boundary(numbered, wanted, found):
    assert [layer.name for layer in matching(numbered, wanted)] == found


@pytest.mark.parametrize("wanted", ["conv", "block_", "bloc", "lock_1", ""])
def test_what_ends_within_a_word_fits_nothing(numbered, wanted):
    if wanted == "block_":
        assert len(matching(numbered, wanted)) == 5  # ends at a boundary itself
        return
    with pytest.raises(ValueError, match="No layer or nested model is called"):
        matching(numbered, wanted)


@pytest.fixture(scope="module")
def nested():
    base = functional(layers.Dense(4, name="a"), layers.Dense(4, name="b"))
    base.name = "base"
    return base, functional(layers.Dense(4, name="base_a"), base, layers.Dense(1, name="head"))


def test_a_nested_model_stands_for_all_of_it(nested):
    base, model = nested
    rows = tracked_layers(model).layers
    for wanted in ("base", "base/", base):
        assert [layer.name for layer in matching(rows, wanted)] == ["base/a", "base/b"]
    assert [row.name for row in select_layers(rows, [base, "head"])] == ["base", "head"]
    assert [row.name for row in select_layers(rows, [base.get_layer("a")])] == ["base/a"]


def test_a_nested_model_is_known_by_its_own_name_too():
    class Net(keras.Model):
        def __init__(self):
            super().__init__()
            self.body = functional(layers.Dense(4, name="a"))

        def call(self, inputs):
            return self.body(inputs)

    model = Net()
    model.build((None, 4))
    rows = tracked_layers(model).layers
    assert [layer.name for layer in matching(rows, "body")] == ["body/a"]
    assert [layer.name for layer in matching(rows, model.body.name)] == ["body/a"]
    assert select_layers(rows, [model.body])[0].name == "body"


def test_a_layer_of_another_model_is_refused(nested):
    _, model = nested
    with pytest.raises(ValueError, match="'stranger' does not belong to the model"):
        matching(tracked_layers(model).layers, layers.Dense(1, name="stranger"))


def test_blocks_are_read_from_names():
    names = ("stem_conv", "stem_norm", "stage1_block1_conv1", "stage1_block1_conv2", "head")
    rows = tracked_layers(functional(*(layers.Dense(4, name=name) for name in names))).layers
    assert [row.name for row in select_layers(rows, "blocks")] == ["stem", "stage1_block1", "head"]
