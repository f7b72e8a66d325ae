"""The parts that the networks share: checks of arguments, seeded initializers, common layers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np

from keras_lcb.config import whole_number


def check_classifier(input_shape: Any, classes: Any, width: Any, seed: Any) -> None:
    """Checks the arguments that every image classifier has.

    Raises:
        ValueError: If the shape is not that of an image, or a number is not whole or too small.
    """
    shape = tuple(input_shape) if isinstance(input_shape, Sequence) else (input_shape,)
    if len(shape) != 3:
        raise ValueError(
            "`input_shape` must be (height, width, channels), for example (32, 32, 3), or "
            f"(28, 28, 1) for gray images; received {input_shape!r}."
        )
    for name, size in zip(("height", "width", "channels"), shape, strict=True):
        whole_number(f"input_shape ({name})", size, 1)
    if whole_number("classes", classes, 1) < 2:
        raise ValueError("`classes` must be the number of classes, 2 or more; received 1.")
    whole_number("width", width, 1)
    whole_number("seed", seed, 0)


def check_stages(depths: Any, input_shape: Sequence[int], *, first_halves: bool) -> None:
    """Checks the number of blocks of each stage, and whether the image is large enough.

    Args:
        depths: The number of blocks of each stage.
        input_shape: (height, width, channels) of an image.
        first_halves: Whether the first stage halves the image, as all others do.

    Raises:
        ValueError: If `depths` is not a list of positive whole numbers, or the image is too small
            to be halved so often.
    """
    check_depths(depths)
    halvings = len(depths) - (not first_halves)
    if min(input_shape[:2]) < 2**halvings:
        raise ValueError(
            f"Received `depths` with {len(depths)} stages, which halve the image {halvings} times. "
            f"Images of {input_shape[0]}x{input_shape[1]} pixels are too small for this. Use fewer "
            "stages or larger images."
        )


def check_depths(depths: Any) -> None:
    """Checks that `depths` is a list of numbers of blocks.

    Raises:
        ValueError: If it is not a list, is empty, or holds anything but positive whole numbers.
    """
    if isinstance(depths, str) or not isinstance(depths, Sequence) or not depths:
        raise ValueError(
            "`depths` must be a list with the number of blocks of each stage, for example "
            f"(3, 3, 3); received {depths!r}."
        )
    for stage, depth in enumerate(depths, start=1):
        whole_number(f"depths (stage {stage})", depth, 1)


class Initializers:
    """Makes an initializer for each layer, with a different seed each time.

    All seeds follow from the seed of the network. Global random states are not read or changed.

    Args:
        seed: The seed of the network.
    """

    def __init__(self, seed: int):
        self._seeds = np.random.default_rng(seed)

    def he(self, scale: float = 1.0) -> keras.initializers.Initializer:
        """Returns He initialization with `scale` times its variance, for layers before a ReLU."""
        return keras.initializers.VarianceScaling(2.0 * scale, seed=self._next())

    def glorot(self, scale: float = 1.0) -> keras.initializers.Initializer:
        """Returns Glorot initialization with `scale` times its variance."""
        return keras.initializers.VarianceScaling(
            scale, "fan_avg", distribution="uniform", seed=self._next()
        )

    def normal(self, deviation: float) -> keras.initializers.Initializer:
        """Returns a truncated normal distribution with a given standard deviation."""
        return keras.initializers.TruncatedNormal(stddev=deviation, seed=self._next())

    def _next(self) -> int:
        return int(self._seeds.integers(2**31))


class Convolutions:
    """Adds convolutions, each with its normalization, to a network.

    Args:
        normalization: Whether batch normalization follows each convolution. The convolution then
            has no bias.
        initializers: The initializers of the kernels.
    """

    def __init__(self, normalization: bool, initializers: Initializers):
        self.normalization = normalization
        self.initializers = initializers

    def add(
        self,
        x: keras.KerasTensor,
        filters: int,
        size: int,
        block: str,
        number: str = "",
        *,
        strides: int = 1,
        scale: float = 1.0,
    ) -> keras.KerasTensor:
        """Returns the output of `<block>_conv<number>` and `<block>_norm<number>`.

        Args:
            x: The input.
            filters: Channels of the output.
            size: Height and width of the kernel.
            block: Name of the block to which the layers belong.
            number: Number of the convolution in the block.
            strides: Strides of the convolution.
            scale: Factor on the variance of the initial kernel.
        """
        x = keras.layers.Conv2D(
            filters,
            size,
            strides,
            padding="same",
            use_bias=not self.normalization,
            kernel_initializer=self.initializers.he(scale),
            name=f"{block}_conv{number}",
        )(x)
        if self.normalization:
            # With Keras' default momentum of 0.99, the moving averages would still depend on their
            # initial values after a short training.
            x = keras.layers.BatchNormalization(momentum=0.9, name=f"{block}_norm{number}")(x)
        return x


def head(x: keras.KerasTensor, classes: int, initializers: Initializers) -> keras.KerasTensor:
    """Returns logits: the linear layer `head`, applied to the average over all positions.

    Args:
        x: Features of images, (batch, height, width, channels), or of tokens, (batch, tokens,
            width).
        classes: Number of logits.
        initializers: The initializers of the kernels.
    """
    images = len(x.shape) == 4
    pooling = keras.layers.GlobalAveragePooling2D if images else keras.layers.GlobalAveragePooling1D
    x = pooling(name="average")(x)
    kernel = initializers.glorot()
    return keras.layers.Dense(classes, kernel_initializer=kernel, name="head")(x)
