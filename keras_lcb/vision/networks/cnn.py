"""A plain or residual stack of convolutions, small enough for a laptop."""

from __future__ import annotations

import keras
import numpy as np

from keras_lcb.config import whole_number
from keras_lcb.vision.building import check_classifier


def build_cnn(
    input_shape: tuple[int, int, int],
    classes: int,
    depth: int = 4,
    width: int = 16,
    normalization: bool = False,
    residual: bool = False,
    seed: int = 0,
) -> keras.Model:
    """Builds a convolutional classifier: `conv_0`, `conv_1`, … and a linear `head`.

    Each block is a 3x3 convolution and a ReLU. Every second block halves the image, as long as at
    least 4x4 pixels are left. The head receives the average over all pixels, and returns logits.

    Example:
        >>> model = build_cnn((8, 8, 1), classes=10)
        >>> [layer.name for layer in model.layers if layer.weights]
        ['conv_0', 'conv_1', 'conv_2', 'conv_3', 'head']

    Args:
        input_shape: (height, width, channels) of an image.
        classes: Number of logits.
        depth: Number of convolutions. Defaults to 4.
        width: Channels of each convolution. Defaults to 16.
        normalization: Whether there is batch normalization (`norm_0`, …) before each ReLU. Defaults
            to `False`.
        residual: Whether each block except the first adds its input to its output. Defaults to
            `False`.
        seed: Seed of the initial weights. Defaults to 0.

    Returns:
        An uncompiled functional model.

    Raises:
        ValueError: If an argument is out of its range.
    """
    check_classifier(input_shape, classes, width, seed)
    whole_number("depth", depth, 1)
    seeds = iter(np.random.SeedSequence(seed).generate_state(depth + 1).tolist())
    inputs = x = keras.Input(input_shape)
    for index in range(depth):
        block_input = x
        x = keras.layers.Conv2D(
            width,
            3,
            padding="same",
            kernel_initializer=keras.initializers.HeNormal(next(seeds)),
            name=f"conv_{index}",
        )(x)
        if normalization:
            x = keras.layers.BatchNormalization(name=f"norm_{index}")(x)
        x = keras.layers.ReLU(name=f"relu_{index}")(x)
        if residual and index:
            x = keras.layers.Add(name=f"add_{index}")([block_input, x])
        if index % 2 and min(x.shape[1:3]) >= 8:
            x = keras.layers.AveragePooling2D(2, name=f"pool_{index}")(x)
    x = keras.layers.GlobalAveragePooling2D(name="average")(x)
    initializer = keras.initializers.GlorotUniform(next(seeds))
    outputs = keras.layers.Dense(classes, kernel_initializer=initializer, name="head")(x)
    return keras.Model(inputs, outputs, name="cnn")
