"""What the networks are built of: checks of their arguments, seeded initializers, common layers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np

from keras_lcb.config import whole_number


def check_classifier(input_shape: Any, classes: Any, width: Any, seed: Any) -> None:
    """Refuses arguments that no image classifier can be built of.

    Raises:
        ValueError: If the shape is not that of an image, or a number is none.
    """
    shape = tuple(input_shape) if isinstance(input_shape, Sequence) else (input_shape,)
    if len(shape) != 3:
        raise ValueError(
            "`input_shape` is (height, width, channels), such as (32, 32, 3) or, for gray images, "
            f"(28, 28, 1); received {input_shape!r}."
        )
    for name, size in zip(("height", "width", "channels"), shape, strict=True):
        whole_number(f"input_shape ({name})", size, 1)
    if whole_number("classes", classes, 1) < 2:
        raise ValueError("`classes` is the number of classes, 2 or more; received 1.")
    whole_number("width", width, 1)
    whole_number("seed", seed, 0)


def check_stages(depths: Any, input_shape: Sequence[int], *, first_halves: bool) -> None:
    """Refuses a list of stages that is none, or too long for the image.

    Args:
        depths: The number of blocks of each stage.
        input_shape: (height, width, channels) of an image.
        first_halves: Whether the first stage halves the image, as all others do.

    Raises:
        ValueError: If a stage has no block, or nothing would be left of the image.
    """
    check_depths(depths)
    halvings = len(depths) - (not first_halves)
    if min(input_shape[:2]) < 2**halvings:
        raise ValueError(
            f"`depths` has {len(depths)} stages, which halve the image {halvings} times: images "
            f"of {input_shape[0]}x{input_shape[1]} pixels are too small for that. Take fewer "
            "stages or larger images."
        )


def check_depths(depths: Any) -> None:
    """Refuses what is no list of numbers of blocks.

    Raises:
        ValueError: If it is none, is empty, or holds anything but whole numbers from 1 on.
    """
    if isinstance(depths, str) or not isinstance(depths, Sequence) or not depths:
        raise ValueError(
            "`depths` lists the number of blocks of each stage, such as (3, 3, 3); received "
            f"{depths!r}."
        )
    for stage, depth in enumerate(depths, start=1):
        whole_number(f"depths (stage {stage})", depth, 1)


class Initializers:
    """Initializers for one layer after the other, each with a seed of its own.

    All seeds follow from one, so that no global random state is read or changed.

    Args:
        seed: The seed of the network.
    """

    def __init__(self, seed: int):
        self._seeds = np.random.default_rng(seed)

    def he(self, scale: float = 1.0) -> keras.initializers.Initializer:
        """Returns He initialization, for what a ReLU reads, with `scale` times its variance."""
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
        normalization: Whether batch normalization follows each convolution, which then needs no
            bias.
        initializers: Where the kernels come from.
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
            x: Their input.
            filters: Channels of the output.
            size: Side of the kernel.
            block: The block in which they stand.
            number: Their number in it.
            strides: Of the convolution.
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
            # With Keras' own momentum, 0.99, short trainings would be evaluated with averages that
            # still hold the initial values.
            x = keras.layers.BatchNormalization(momentum=0.9, name=f"{block}_norm{number}")(x)
        return x


def head(x: keras.KerasTensor, classes: int, initializers: Initializers) -> keras.KerasTensor:
    """Returns logits: `head`, a linear layer, on the average over all places.

    Args:
        x: An image of features, (batch, height, width, channels), or tokens, (batch, tokens,
            width).
        classes: Number of logits.
        initializers: Where the kernel comes from.
    """
    images = len(x.shape) == 4
    pooling = keras.layers.GlobalAveragePooling2D if images else keras.layers.GlobalAveragePooling1D
    x = pooling(name="average")(x)
    kernel = initializers.glorot()
    return keras.layers.Dense(classes, kernel_initializer=kernel, name="head")(x)
