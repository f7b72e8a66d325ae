"""MLP-Mixers."""

from __future__ import annotations

from collections.abc import Sequence

import keras

from keras_lcb.vision.building import Initializers, check_classifier, head
from keras_lcb.vision.tokens import Branches, check_single_stage, patches


def build_mixer(
    input_shape: tuple[int, int, int],
    classes: int,
    depths: Sequence[int] = (6,),
    width: int = 64,
    normalization: bool = True,
    seed: int = 0,
    *,
    patch_size: int = 4,
) -> keras.Model:
    """Builds an MLP-Mixer (Tolstikhin et al. 2021).

    The layer `stem_patches` turns the patches of the image into tokens. Each block has two residual
    branches, one after the other. The first mixes tokens: two dense layers act on each channel over
    all tokens (`stage1_block1_tokens1` and `_tokens2`). The second mixes channels: two dense layers
    act on each token over all channels (`stage1_block1_channels1` and `_channels2`). Between the
    two layers of a branch there is a GELU. The first layer of a branch has half as many units as a
    token has numbers in the first branch, and four times as many in the second. The network with
    `depths=(8,)`, `width=512` and `patch_size=16` on 224x224 pixels is Mixer-S/16.

    Args:
        input_shape: (height, width, channels) of an image.
        classes: Number of logits.
        depths: A list with one element, the number of blocks. Defaults to `(6,)`.
        width: Numbers in a token, 2 or more. Defaults to 64.
        normalization: Whether there is layer normalization before each branch and before the head.
            Without it, the initial last kernel of each branch is multiplied by
            1/√(number of branches), because the output would otherwise grow exponentially with
            depth. Defaults to `True`.
        seed: Seed of the initial weights. Defaults to 0.
        patch_size: Height and width of a patch in pixels. The height and the width of the image
            must be multiples of it. Defaults to 4.

    Returns:
        An uncompiled functional model.

    Raises:
        ValueError: If an argument is out of its range.

    Example:
        >>> model = build_mixer((8, 8, 1), classes=10, depths=(1,), width=8, patch_size=2)
        >>> [layer.name for layer in model.layers if layer.weights][2:4]
        ['stage1_block1_tokens1', 'stage1_block1_tokens2']
    """
    check_classifier(input_shape, classes, width, seed)
    check_single_stage("mixer", depths)
    if width < 2:
        raise ValueError(
            "`width` must be 2 or more, because a layer has half as many units; received 1."
        )
    initializers = Initializers(seed)
    branches = Branches(normalization, initializers, number=2 * depths[0])
    inputs = keras.Input(input_shape, name="image")
    x = patches(inputs, width, patch_size, initializers)
    for number in range(1, depths[0] + 1):
        block = f"stage1_block{number}"
        branch = branches.normalized(x, f"{block}_norm1")
        branch = keras.layers.Permute((2, 1), name=f"{block}_transpose1")(branch)
        branch = branches.mlp(branch, width // 2, f"{block}_tokens")
        branch = keras.layers.Permute((2, 1), name=f"{block}_transpose2")(branch)
        x = keras.layers.Add(name=f"{block}_add1")([x, branch])
        branch = branches.normalized(x, f"{block}_norm2")
        branch = branches.mlp(branch, 4 * width, f"{block}_channels")
        x = keras.layers.Add(name=f"{block}_add2")([x, branch])
    x = branches.normalized(x, "head_norm")
    return keras.Model(inputs, head(x, classes, initializers), name="mixer")
