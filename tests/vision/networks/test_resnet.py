from __future__ import annotations

import keras
import numpy as np
import pytest

from keras_lcb import vision
from tests.vision.networks.declared import declared, parameters


@pytest.mark.parametrize("layers, millions", [(20, 0.27), (32, 0.46), (56, 0.85), (110, 1.7)])
def test_it_has_the_published_parameters_on_cifar(layers, millions):
    """Table 6 of He et al. 2016."""
    model = declared(vision.build_resnet, (32, 32, 3), 10, depths=((layers - 2) // 6,) * 3)
    assert round(parameters(model) / 1e6, 2 if millions < 1 else 1) == millions
    kernels = [layer for layer in model.layers if hasattr(layer, "kernel")]
    assert len(kernels) == layers


@pytest.mark.parametrize(
    "depths, bottleneck, published, projections",
    [
        # torchvision's counts for 1,000 classes. Its ResNet-18 has projections as shortcuts.
        ((2, 2, 2, 2), False, 11_689_512, 64 * 128 + 128 * 256 + 256 * 512 + 2 * (128 + 256 + 512)),
        ((3, 4, 6, 3), True, 25_557_032, 0),
    ],
)
def test_but_for_stem_and_shortcuts_it_has_those_on_imagenet(
    depths, bottleneck, published, projections
):
    model = declared(vision.build_resnet, (32, 32, 3), 1000, depths, 64, bottleneck=bottleneck)
    stem = (3 * 3 - 7 * 7) * 3 * 64
    assert parameters(model) == published + stem - projections


def test_parameters_without_normalization_counted_by_hand():
    model = declared(vision.build_resnet, (8, 8, 1), 5, depths=(1, 1), width=4, normalization=False)
    kernels = 9 * (1 * 4 + 2 * 4 * 4 + 4 * 8 + 8 * 8)
    biases = 4 + 4 + 4 + 8 + 8
    assert parameters(model) == kernels + biases + 8 * 5 + 5


def _output(model: keras.Model, layer: str, x: np.ndarray) -> np.ndarray:
    part = keras.Model(model.input, model.get_layer(layer).output)
    return keras.ops.convert_to_numpy(part(x))


@pytest.mark.parametrize("side", [8, 7])
def test_the_shortcut_takes_each_second_pixel_and_fills_up_with_zeros(side):
    model = vision.build_resnet((side, side, 1), 5, depths=(1, 1), width=4)
    last = model.get_layer("stage2_block1_norm2")
    last.set_weights([np.zeros_like(weight) for weight in last.get_weights()])
    x = np.random.default_rng(0).normal(size=(3, side, side, 1)).astype("float32")
    before = _output(model, "stage1_block1_relu", x)
    after = _output(model, "stage2_block1_relu", x)
    assert before.max() > 0
    np.testing.assert_array_equal(after[..., :4], before[:, ::2, ::2])
    np.testing.assert_array_equal(after[..., 4:], 0)


def test_a_bottleneck_projects_where_the_shape_changes():
    model = declared(vision.build_resnet, (8, 8, 1), 5, depths=(2, 2), width=4, bottleneck=True)
    projections = [layer.name for layer in model.layers if "shortcut_conv" in layer.name]
    assert projections == ["stage1_block1_shortcut_conv", "stage2_block1_shortcut_conv"]
    assert model.get_layer("stage1_block2_relu").output.shape == (None, 8, 8, 16)
    assert model.get_layer("stage2_block2_relu").output.shape == (None, 4, 4, 32)


def test_layers_are_named_by_stage_and_block():
    model = declared(vision.build_resnet, (8, 8, 1), 5, depths=(1, 1))
    assert [layer.name for layer in model.layers if layer.trainable_weights] == [
        *("stem_conv", "stem_norm"),
        *("stage1_block1_conv1", "stage1_block1_norm1"),
        *("stage1_block1_conv2", "stage1_block1_norm2"),
        *("stage2_block1_conv1", "stage2_block1_norm1"),
        *("stage2_block1_conv2", "stage2_block1_norm2"),
        "head",
    ]
