from __future__ import annotations

import keras
import pytest

from keras_lcb import vision
from tests.vision.networks.declared import declared, parameters


def test_it_has_the_convolutions_of_vgg_16():
    model = declared(vision.build_vgg, (32, 32, 3), 10, (2, 2, 3, 3, 3), 64, normalization=False)
    published = declared(keras.applications.VGG16, False, weights=None, input_shape=(32, 32, 3))
    head = 512 * 10 + 10
    assert parameters(model) == parameters(published) + head == 14_714_688 + head
    kernels = [layer.kernel.shape for layer in model.layers if hasattr(layer, "kernel")]
    assert kernels[:-1] == [
        layer.kernel.shape for layer in published.layers if hasattr(layer, "kernel")
    ]


@pytest.mark.parametrize("normalization, of_a_channel", [(True, 2), (False, 1)])
def test_parameters_counted_by_hand(normalization, of_a_channel):
    model = declared(vision.build_vgg, (16, 16, 3), 7, (1, 2), width=4, normalization=normalization)
    # A normalization has a scale and a shift for each channel, in the place of the bias.
    kernels = 9 * (3 * 4 + 4 * 8 + 8 * 8)
    assert parameters(model) == kernels + of_a_channel * (4 + 8 + 8) + 8 * 7 + 7


def test_each_stage_halves_the_image_and_doubles_the_channels_up_to_eight_times():
    model = declared(vision.build_vgg, (64, 48, 1), 3, (1,) * 5, width=2)
    shapes = [model.get_layer(f"stage{stage}_pool").output.shape[1:] for stage in range(1, 6)]
    assert shapes == [(32, 24, 2), (16, 12, 4), (8, 6, 8), (4, 3, 16), (2, 1, 16)]


def test_layers_are_named_by_stage_and_block():
    names = [layer.name for layer in declared(vision.build_vgg, (8, 8, 1), 3, (1, 2)).layers]
    assert names == [
        "image",
        *("stage1_block1_conv", "stage1_block1_norm", "stage1_block1_relu", "stage1_pool"),
        *("stage2_block1_conv", "stage2_block1_norm", "stage2_block1_relu"),
        *("stage2_block2_conv", "stage2_block2_norm", "stage2_block2_relu", "stage2_pool"),
        *("average", "head"),
    ]
