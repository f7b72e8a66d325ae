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

    Patches become tokens (`stem_patches`). A block adds to the tokens, one after the other, what
    two dense layers make of each channel over all tokens (`stage1_block1_tokens1` and `_tokens2`),
    and what two make of each token over all channels (`stage1_block1_channels1` and
    `_channels2`), each pair with a GELU between. The first of a pair is half as wide as a token
    where it mixes tokens, and four times as wide where it mixes channels. `depths=(8,)`,
    `width=512` and `patch_size=16` on 224x224 pixels is Mixer-S/16.

    Args:
        input_shape: (height, width, channels) of an image.
        classes: Number of logits.
        depths: Blocks of its only stage, such as `(6,)`.
        width: Numbers in a token, 2 or more.
        normalization: Whether layer normalization stands before each pair of dense layers and
            before the head. Without it the last kernel of each branch begins smaller, by
            1/√(number of branches), or else the output would grow exponentially with depth.
        seed: Seed of the initial weights.
        patch_size: Side of a patch in pixels; height and width are multiples of it.

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
        raise ValueError("`width` must be 2 or more, since tokens are mixed at half of it.")
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
