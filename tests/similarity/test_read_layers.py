"""Where the activations of a group come from."""

from __future__ import annotations

import keras
import pytest
from keras import layers

from keras_lcb.similarity.read_layers import read_layers
from keras_lcb.training.layers import tracked_layers
from keras_lcb.training.selection import select_layers
from keras_lcb.vision import build_resnet, build_vgg


def members(model, selection):
    rows = select_layers(tracked_layers(model).layers, selection)
    found = read_layers(model, rows, selection)
    return {row.name: [layer.name for layer in each] for row, each in zip(rows, found, strict=True)}


def nested():
    inner = keras.Sequential(
        [keras.Input((3,)), layers.Dense(2, name="a"), layers.ReLU(name="r")], name="base"
    )
    return keras.Sequential([keras.Input((3,)), inner, layers.Dense(1, name="head")])


def test_a_layer_is_read_itself():
    assert members(nested(), None) == {"base/a": ["a"], "head": ["head"]}


@pytest.mark.parametrize("selection", [["base"], ["base", "head"]])
def test_a_nested_model_is_read_where_it_ends(selection):
    assert members(nested(), selection)["base"] == ["base"]


def test_a_keras_layer_may_stand_for_its_name():
    model = nested()
    assert "base" in members(model, [model.get_layer("base")])["base"]


def test_blocks_and_stages_have_their_layers_without_weights():
    model = build_resnet((8, 8, 1), 2, depths=(1, 1), width=2, normalization=False)
    blocks = members(model, "blocks")
    assert list(blocks) == ["stem", "stage1_block1", "stage2_block1", "head"]
    assert blocks["stage2_block1"][-2:] == ["stage2_block1_add", "stage2_block1_relu"]
    single = members(build_vgg((8, 8, 1), 2, depths=(1,), normalization=False), "blocks")
    assert single["stage1_block1"] == ["stage1_block1_conv", "stage1_block1_relu"]
    stages = members(model, ["stage1", "stage2"])
    assert stages["stage1"][-1] == "stage1_block1_relu"


def test_a_function_may_group_layers_without_weights_but_need_not_know_them():
    model = build_resnet((8, 8, 1), 2, depths=(1,), width=2, normalization=False)
    stage = members(model, lambda layer: layer.name.split("_")[0])
    assert stage["stage1"][-1] == "stage1_block1_relu"
    with_kernel = members(model, lambda layer: f"rank{len(layer.kernel.shape)}")
    assert with_kernel == {
        "rank4": ["stem_conv", "stage1_block1_conv1", "stage1_block1_conv2"],
        "rank2": ["head"],
    }
