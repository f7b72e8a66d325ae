"""The parts that networks of tokens, the transformer and the mixer, share."""

from __future__ import annotations

from typing import Any

import keras

from keras_lcb.config import whole_number
from keras_lcb.vision.building import Initializers, check_depths


def check_single_stage(network: str, depths: Any) -> None:
    """Checks that `depths` describes exactly one stage.

    Raises:
        ValueError: If `depths` is not a list with one number of blocks.
    """
    check_depths(depths)
    if len(depths) != 1:
        raise ValueError(
            f"A {network} has one stage, so `depths` must hold one number of blocks, for example "
            f"({depths[0]},); received {tuple(depths)} for {len(depths)} stages."
        )


def patches(
    image: keras.KerasTensor, width: int, size: int, initializers: Initializers
) -> keras.KerasTensor:
    """Returns the tokens of an image's patches, row by row: (batch, tokens, width).

    Args:
        image: (batch, height, width, channels).
        width: Numbers in a token.
        size: Height and width of a patch in pixels.
        initializers: The initializers of the kernels.

    Raises:
        ValueError: If patches of this size do not tile the image.
    """
    height, breadth, _ = image.shape[1:]
    whole_number("patch_size", size, 1)
    if height % size or breadth % size:
        raise ValueError(
            f"`patch_size` must divide the height and the width of the image; received {size}, "
            f"which does not divide {height}x{breadth}."
        )
    kernel = initializers.glorot()
    x = keras.layers.Conv2D(width, size, size, kernel_initializer=kernel, name="stem_patches")(
        image
    )
    return keras.layers.Reshape((-1, width), name="stem_tokens")(x)


class Branches:
    """Adds the parts of residual branches to a network.

    Args:
        normalization: Whether there is layer normalization.
        initializers: The initializers of the kernels.
        number: Number of residual branches of the network.
    """

    def __init__(self, normalization: bool, initializers: Initializers, number: int):
        self.normalization = normalization
        self.initializers = initializers
        self.last_scale = 1.0 if normalization else 1.0 / number

    def normalized(self, x: keras.KerasTensor, name: str) -> keras.KerasTensor:
        """Returns the normalized tokens; without layer normalization, the unchanged tokens."""
        if not self.normalization:
            return x
        return keras.layers.LayerNormalization(epsilon=1e-6, name=name)(x)

    def mlp(self, x: keras.KerasTensor, hidden: int, name: str) -> keras.KerasTensor:
        """Returns the output of two dense layers, `<name>1` and `<name>2`, with a GELU between.

        Args:
            x: The input, (batch, rows, columns). The layers act on the last axis, the columns.
            hidden: Units of the first layer. The second layer has as many units as `x` has columns.
            name: First part of the names of the layers.
        """
        first, last = self.initializers.glorot(), self.initializers.glorot(self.last_scale)
        columns = x.shape[-1]
        x = keras.layers.Dense(
            hidden, activation="gelu", kernel_initializer=first, name=f"{name}1"
        )(x)
        return keras.layers.Dense(columns, kernel_initializer=last, name=f"{name}2")(x)
