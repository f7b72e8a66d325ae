"""Vision transformers."""

from __future__ import annotations

from collections.abc import Sequence

import keras

from keras_lcb.config import whole_number
from keras_lcb.vision.building import Initializers, check_classifier, head
from keras_lcb.vision.tokens import Branches, check_single_stage, patches


def build_vit(
    input_shape: tuple[int, int, int],
    classes: int,
    depths: Sequence[int] = (6,),
    width: int = 64,
    normalization: bool = True,
    seed: int = 0,
    *,
    patch_size: int = 4,
    heads: int = 4,
) -> keras.Model:
    """Builds a vision transformer (Dosovitskiy et al. 2021) that reads the average of its tokens.

    Patches become tokens (`stem_patches`), to which their learned positions are added
    (`stem_positions`). A block adds to the tokens, one after the other, self-attention
    (`stage1_block1_attention`) and two dense layers with a GELU between them
    (`stage1_block1_mlp1`, four times as wide, and `stage1_block1_mlp2`). The head reads the
    average of all tokens instead of a class token (Beyer et al. 2022). `depths=(12,)`,
    `width=192`, `patch_size=16` and `heads=3` on 224x224 pixels is ViT-Ti/16 but for that token.

    Args:
        input_shape: (height, width, channels) of an image.
        classes: Number of logits.
        depths: Blocks of its only stage, such as `(6,)`.
        width: Numbers in a token, a multiple of `heads`.
        normalization: Whether layer normalization stands before attention, before the dense
            layers and before the head. Without it the last kernel of each branch begins smaller,
            by 1/√(number of branches), or else the output would grow exponentially with depth.
        seed: Seed of the initial weights.
        patch_size: Side of a patch in pixels; height and width are multiples of it.
        heads: Attention heads.

    Returns:
        An uncompiled functional model.

    Raises:
        ValueError: If an argument is out of its range.

    Example:
        >>> model = build_vit((8, 8, 1), classes=10, depths=(1,), width=8, patch_size=2)
        >>> [layer.name for layer in model.layers if layer.weights][2:5]
        ['stage1_block1_norm1', 'stage1_block1_attention', 'stage1_block1_norm2']
    """
    check_classifier(input_shape, classes, width, seed)
    check_single_stage("vit", depths)
    if width % whole_number("heads", heads, 1):
        raise ValueError(
            f"`width` must be a multiple of `heads`: {width} is none of {heads}. Each head reads "
            "its share of a token."
        )
    initializers = Initializers(seed)
    branches = Branches(normalization, initializers, number=2 * depths[0])
    inputs = keras.Input(input_shape, name="image")
    x = _placed(patches(inputs, width, patch_size, initializers), initializers)
    for number in range(1, depths[0] + 1):
        block = f"stage1_block{number}"
        branch = _attention(branches.normalized(x, f"{block}_norm1"), block, heads, branches)
        x = keras.layers.Add(name=f"{block}_add1")([x, branch])
        branch = branches.normalized(x, f"{block}_norm2")
        branch = branches.mlp(branch, 4 * width, f"{block}_mlp")
        x = keras.layers.Add(name=f"{block}_add2")([x, branch])
    x = branches.normalized(x, "head_norm")
    return keras.Model(inputs, head(x, classes, initializers), name="vit")


def _placed(tokens: keras.KerasTensor, initializers: Initializers) -> keras.KerasTensor:
    """Adds the learned position of each token."""
    count, width = tokens.shape[1:]
    # 0, 1, … once, not for each image: so no position is looked up twice in a batch.
    places = keras.ops.cumsum(keras.ops.ones_like(tokens[:1, :, 0], dtype="int32"), axis=1) - 1
    positions = keras.layers.Embedding(
        count, width, embeddings_initializer=initializers.normal(0.02), name="stem_positions"
    )(places)
    return keras.layers.Add(name="stem_add")([tokens, positions])


def _attention(
    x: keras.KerasTensor, block: str, heads: int, branches: Branches
) -> keras.KerasTensor:
    width = x.shape[-1]
    attention = keras.layers.MultiHeadAttention(
        heads,
        width // heads,
        kernel_initializer=branches.initializers.glorot(),
        name=f"{block}_attention",
    )
    output = attention(x, x)
    # Keras gives all projections the same seed, with which queries would begin equal to keys and
    # values, and takes heads for pixels of a kernel. So each is drawn here, as one square matrix.
    for projection in (attention.query_dense, attention.key_dense, attention.value_dense):
        drawn = branches.initializers.glorot()((width, width))
        projection.kernel.assign(keras.ops.reshape(drawn, projection.kernel.shape))
    drawn = branches.initializers.glorot(branches.last_scale)((width, width))
    last = attention.output_dense.kernel
    last.assign(keras.ops.reshape(drawn, last.shape))
    return output
