"""The blocks of real networks are those that their papers count."""

from __future__ import annotations

import itertools

import keras
import pytest

from keras_lcb import vision
from keras_lcb.runs.block_names import block_name


@pytest.fixture(autouse=True)
def forgotten():
    """Keras draws the weights that were only declared as soon as it can, unless it forgets them."""
    yield
    keras.utils.clear_session(free_memory=False)


def _numbered(pattern: str, counts, first: int = 1) -> list[str]:
    """Names of blocks by stage and number, such as conv2_block1 for (2, 1)."""
    return [
        pattern.format(stage, block)
        for stage, count in enumerate(counts, start=first)
        for block in range(1, count + 1)
    ]


def _lettered(counts) -> list[str]:
    letters = "abcdefghijklmnopqrstuvwxyz"
    return [f"block{s}{letters[b]}" for s, n in enumerate(counts, start=1) for b in range(n)]


_TINY_NEXT = [
    [f"convnext_tiny_stage_{stage}_block_{block}" for block in range(count)]
    for stage, count in enumerate((3, 3, 9, 3))
]
_DENSE = [_numbered(f"conv{s}_block{{1}}", [n]) for s, n in enumerate((6, 12, 24, 16), start=2)]
# Stage depths as the papers and Keras' documentation have them. What begins and ends a network
# stands beside its blocks.
EXPECTED = {
    "MobileNetV3Small": [
        "conv",
        "expanded_conv",
        *(f"expanded_conv_{n}" for n in range(1, 11)),
        *("conv_1", "conv_2", "logits"),
    ],
    "ResNet50": ["conv1", *_numbered("conv{}_block{}", (3, 4, 6, 3), first=2), "predictions"],
    "ResNet50V2": [
        "conv1",
        *_numbered("conv{}_block{}", (3, 4, 6, 3), first=2),
        *("post", "predictions"),
    ],
    "EfficientNetB0": ["stem", *_lettered((1, 2, 2, 3, 3, 4, 1)), "top", "predictions"],
    "EfficientNetV2B0": ["stem", *_lettered((1, 2, 2, 3, 5, 8)), "top", "predictions"],
    "DenseNet121": [
        *("conv1", *_DENSE[0], "pool2", *_DENSE[1], "pool3", *_DENSE[2], "pool4", *_DENSE[3]),
        *("bn", "predictions"),
    ],
    "MobileNet": ["conv1", *(f"conv_{n}" for n in range(1, 14)), "conv_preds"],
    "MobileNetV2": [
        *("Conv1", "expanded_conv"),
        *(f"block_{n}" for n in range(1, 17)),
        *("Conv_1", "predictions"),
    ],
    "VGG16": [*(f"block{n}" for n in range(1, 6)), "fc1", "fc2", "predictions"],
    "ConvNeXtTiny": [
        "convnext_tiny_stem",
        *_TINY_NEXT[0],
        *itertools.chain.from_iterable(
            [f"convnext_tiny_downsampling_block_{stage}", *_TINY_NEXT[stage + 1]]
            for stage in range(3)
        ),
        "convnext_tiny_head",
    ],
    "NASNetMobile": [
        *("stem", "cell_stem_1", "cell_stem_2"),
        *("cell_0", "cell_1", "cell_2", "cell_3", "cell_reduce_4"),
        *("cell_5", "cell_6", "cell_7", "cell_8", "cell_reduce_8"),
        *("cell_9", "cell_10", "cell_11", "cell_12", "predictions"),
    ],
}


def _layers(model: keras.Model, names=lambda layer: layer.path) -> list[str]:
    return [names(layer) for layer in model._flatten_layers() if layer._trainable_variables]


def _blocks(layers) -> list[str]:
    return list(dict.fromkeys(map(block_name, layers)))


def _build(name: str, side: int = 32) -> keras.Model:
    if name == "NASNetMobile" and keras.backend.backend() == "torch":
        pytest.skip("Keras has no NASNetMobile on torch")
    # Names need no numbers: the weights are declared, not drawn.
    with keras.StatelessScope(initialize_variables=False):
        return getattr(keras.applications, name)(
            weights=None, input_shape=(side, side, 3), classes=5
        )


@pytest.mark.parametrize("name", EXPECTED)
def test_the_blocks_are_those_of_the_paper(name):
    assert _blocks(_layers(_build(name))) == EXPECTED[name]


@pytest.mark.parametrize("name", ["ResNet50", "NASNetMobile", "MobileNet"])
def test_a_layer_and_its_path_stand_in_the_same_block(name):
    assert _blocks(_layers(_build(name), lambda layer: layer.name)) == EXPECTED[name]


def test_a_network_inside_another_keeps_its_place():
    base = _build("EfficientNetV2B0")
    nested = [f"base/{path}" for path in _layers(base)]
    assert _blocks(nested) == [f"base/{block}" for block in EXPECTED["EfficientNetV2B0"]]
    assert (
        block_name(
            "base/reduction_A_block_stem_1/block_1/separable_conv_1_bn_reduction_left1_stem_1"
        )
        == "base/cell_stem_1"
    )


def test_layers_that_keras_numbers_stand_alone():
    layers = _layers(_build("InceptionV3", side=75))
    assert _blocks(layers) == layers
    blocks = _blocks(_layers(_build("Xception", side=71)))
    named = [block for block in blocks if block.startswith("block")]
    assert named == [f"block{n}" for n in range(1, 15)]
    rest = [block.rstrip("_0123456789") for block in blocks if block not in named]
    assert rest == ["conv2d", "batch_normalization"] * 4 + ["predictions"]


def test_inception_resnet_repeats_three_kinds_of_blocks():
    blocks = _blocks(_layers(_build("InceptionResNetV2", side=75)))
    for kind, count in {"block35": 10, "block17": 20, "block8": 10}.items():
        assert [b for b in blocks if b.startswith(kind)] == [
            f"{kind}_{n}" for n in range(1, count + 1)
        ]


def test_the_networks_of_the_package_group():
    with keras.StatelessScope(initialize_variables=False):
        resnet = vision.build_resnet((16, 16, 3), 5, depths=(1, 2), bottleneck=True)
        cnn = vision.build_cnn((8, 8, 1), 5, depth=2, normalization=True)
    assert _blocks(_layers(resnet)) == [
        "stem",
        *_numbered("stage{}_block{}", (1, 2)),
        "head",
    ]
    assert _blocks(_layers(cnn)) == ["conv_0", "conv_1", "head"]
    assert block_name("stage1_block1_attention/query") == "stage1_block1"


@pytest.mark.parametrize(
    "layer, block",
    [
        ("blocks/0/mlp/dense", "blocks/0"),
        ("stages/1/blocks/12/conv", "stages/1/blocks/12"),
        ("encoder/transformer_layer_3/self_attention/query", "encoder/transformer_layer_3"),
        ("block_1_expand", "block_1"),
        ("block_10_expand", "block_10"),
        ("layer_3", "layer_3"),
        ("dense_12", "dense_12"),
        ("blocked", "blocked"),
        ("", ""),
    ],
)
def test_names_of_other_schemes(layer, block):
    assert block_name(layer) == block
