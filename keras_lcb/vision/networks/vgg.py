"""VGG: plain stacks of 3x3 convolutions."""

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

WIDEST = 8  # most channels of a stage, divided by the channels of the first stage


def build_vgg(
    input_shape: tuple[int, int, int],
    classes: int,
    depths: Sequence[int] = (2, 2, 2),
    width: int = 16,
    normalization: bool = True,
    seed: int = 0,
) -> keras.Model:
    """Builds a VGG network (Simonyan & Zisserman 2015) with one linear layer as its head.

    A block is a 3x3 convolution (`stage1_block1_conv`), its normalization (`stage1_block1_norm`)
    and a ReLU. The image is halved after each stage, and the next stage has twice as many channels,
    up to eight times `width`. `depths=(2, 2, 3, 3, 3)` with `width=64` and no normalization has the
    convolutions of VGG-16. The head receives the average over all pixels; the original has three
    dense layers there.

    Args:
        input_shape: (height, width, channels) of an image.
        classes: Number of logits.
        depths: Number of convolutions of each stage. Defaults to `(2, 2, 2)`.
        width: Channels of the first stage. Defaults to 16.
        normalization: Whether there is batch normalization before each ReLU. Convolutions have
            biases only without it. Defaults to `True`.
        seed: Seed of the initial weights. Defaults to 0.

    Returns:
        An uncompiled functional model.

    Raises:
        ValueError: If an argument is out of its range, or the image is too small for the stages.

    Example:
        >>> model = build_vgg((8, 8, 1), classes=10, depths=(1, 2))
        >>> [layer.name for layer in model.layers if "conv" in layer.name]
        ['stage1_block1_conv', 'stage2_block1_conv', 'stage2_block2_conv']
    """
    check_classifier(input_shape, classes, width, seed)
    check_stages(depths, input_shape, first_halves=True)
    initializers = Initializers(seed)
    convolutions = Convolutions(normalization, initializers)
    inputs = x = keras.Input(input_shape, name="image")
    for stage, blocks in enumerate(depths, start=1):
        filters = width * min(2 ** (stage - 1), WIDEST)
        for number in range(1, blocks + 1):
            block = f"stage{stage}_block{number}"
            x = convolutions.add(x, filters, 3, block)
            x = keras.layers.ReLU(name=f"{block}_relu")(x)
        x = keras.layers.MaxPooling2D(2, name=f"stage{stage}_pool")(x)
    return keras.Model(inputs, head(x, classes, initializers), name="vgg")
