"""Residual networks for small images."""

from __future__ import annotations

from collections.abc import Sequence

import keras

from keras_lcb.vision.building import (
    Convolutions,
    Initializers,
    check_classifier,
    check_stages,
    head,
)

EXPANSION = 4  # output channels of a bottleneck block, divided by the channels inside of it


def build_resnet(
    input_shape: tuple[int, int, int],
    classes: int,
    depths: Sequence[int] = (3, 3, 3),
    width: int = 16,
    normalization: bool = True,
    seed: int = 0,
    *,
    bottleneck: bool = False,
) -> keras.Model:
    """Builds a residual network (He et al. 2016) with a 3x3 stem, as the paper has it for CIFAR.

    `depths=(3, 3, 3)` is ResNet-20, `(5, 5, 5)` is ResNet-32 and `(9, 9, 9)` is ResNet-56. Each
    stage after the first halves the image and doubles the channels. A block has two 3x3
    convolutions, `stage1_block1_conv1` and `stage1_block1_conv2`, and adds their output to its
    input. If the shapes differ, the shortcut selects every second pixel and appends channels of
    zeros. It has no parameters.

    With `bottleneck`, a block has a 1x1, a 3x3 and a 1x1 convolution. The last of them has four
    times as many channels as the others. A shortcut that changes the shape is a 1x1 convolution
    (`stage2_block1_shortcut_conv`). `depths=(3, 4, 6, 3)` and `width=64` is ResNet-50 with another
    stem.

    Args:
        input_shape: (height, width, channels) of an image.
        classes: Number of logits.
        depths: Number of blocks of each stage. Defaults to `(3, 3, 3)`.
        width: Channels of the first stage; with `bottleneck`, the channels inside of its blocks.
            Defaults to 16.
        normalization: Whether batch normalization follows each convolution. Without it,
            convolutions have biases, and the initial last kernel of each block is multiplied by
            1/√(number of blocks), because the output would otherwise grow exponentially with
            depth. Defaults to `True`.
        seed: Seed of the initial weights. Defaults to 0.
        bottleneck: Whether blocks are bottleneck blocks. Defaults to `False`.

    Returns:
        An uncompiled functional model.

    Raises:
        ValueError: If an argument is out of its range, or the image is too small for the stages.

    Example:
        >>> import math
        >>> resnet20 = build_resnet((32, 32, 3), classes=10, depths=(3, 3, 3))
        >>> sum(math.prod(weight.shape) for weight in resnet20.trainable_weights)
        269722
    """
    check_classifier(input_shape, classes, width, seed)
    check_stages(depths, input_shape, first_halves=False)
    initializers = Initializers(seed)
    convolutions = Convolutions(normalization, initializers)
    last_scale = 1.0 if normalization else 1.0 / sum(depths)
    block_of_layers = _bottleneck if bottleneck else _basic
    inputs = keras.Input(input_shape, name="image")
    x = convolutions.add(inputs, width, 3, "stem")
    x = keras.layers.ReLU(name="stem_relu")(x)
    for stage, blocks in enumerate(depths, start=1):
        for number in range(1, blocks + 1):
            strides = 2 if stage > 1 and number == 1 else 1
            block = f"stage{stage}_block{number}"
            filters = width * 2 ** (stage - 1)
            x = block_of_layers(convolutions, x, filters, strides, block, last_scale)
    return keras.Model(inputs, head(x, classes, initializers), name="resnet")


def _basic(
    convolutions: Convolutions,
    x: keras.KerasTensor,
    filters: int,
    strides: int,
    block: str,
    last_scale: float,
) -> keras.KerasTensor:
    branch = convolutions.add(x, filters, 3, block, "1", strides=strides)
    branch = keras.layers.ReLU(name=f"{block}_relu1")(branch)
    branch = convolutions.add(branch, filters, 3, block, "2", scale=last_scale)
    if strides > 1:
        x = keras.layers.AveragePooling2D(1, strides, name=f"{block}_shortcut")(x)
    if x.shape[-1] < filters:
        x = keras.ops.pad(x, [[0, 0], [0, 0], [0, 0], [0, filters - x.shape[-1]]])
    return _added(branch, x, block)


def _bottleneck(
    convolutions: Convolutions,
    x: keras.KerasTensor,
    filters: int,
    strides: int,
    block: str,
    last_scale: float,
) -> keras.KerasTensor:
    wide = EXPANSION * filters
    branch = convolutions.add(x, filters, 1, block, "1")
    branch = keras.layers.ReLU(name=f"{block}_relu1")(branch)
    branch = convolutions.add(branch, filters, 3, block, "2", strides=strides)
    branch = keras.layers.ReLU(name=f"{block}_relu2")(branch)
    branch = convolutions.add(branch, wide, 1, block, "3", scale=last_scale)
    if strides > 1 or x.shape[-1] != wide:
        x = convolutions.add(x, wide, 1, f"{block}_shortcut", strides=strides)
    return _added(branch, x, block)


def _added(branch: keras.KerasTensor, shortcut: keras.KerasTensor, block: str) -> keras.KerasTensor:
    x = keras.layers.Add(name=f"{block}_add")([shortcut, branch])
    return keras.layers.ReLU(name=f"{block}_relu")(x)
