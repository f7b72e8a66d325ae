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
    """Builds a vision transformer (Dosovitskiy et al. 2021) without a class token.

    The layer `stem_patches` turns the patches of the image into tokens, and `stem_positions` adds a
    learned position to each token. Each block has two residual branches, one after the other. The
    first is self-attention (`stage1_block1_attention`). The second has two dense layers with a GELU
    between them: `stage1_block1_mlp1`, which is four times as wide as a token, and
    `stage1_block1_mlp2`. The head receives the average of all tokens instead of a class token
    (Beyer et al. 2022). The network with `depths=(12,)`, `width=192`, `patch_size=16` and `heads=3`
    on 224x224 pixels is ViT-Ti/16, except for the class token.

    Args:
        input_shape: (height, width, channels) of an image.
        classes: Number of logits.
        depths: A list with one element, the number of blocks. Defaults to `(6,)`.
        width: Numbers in a token, a multiple of `heads`. Defaults to 64.
        normalization: Whether there is layer normalization before each branch and before the head.
            Without it, the initial last kernel of each branch is multiplied by
            1/√(number of branches), because the output would otherwise grow exponentially with
            depth. Defaults to `True`.
        seed: Seed of the initial weights. Defaults to 0.
        patch_size: Height and width of a patch in pixels. The height and the width of the image
            must be multiples of it. Defaults to 4.
        heads: Number of attention heads. Defaults to 4.

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
            "`width` must be a multiple of `heads`, because each head receives an equal part of a "
            f"token; received width={width} and heads={heads}."
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
    # The indices 0, 1, … for one image only, so that each position is looked up once in a batch.
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
    # Keras initializes all projections with the same seed, so that queries, keys and values would
    # be equal, and it counts the heads as pixels of a convolution kernel. So each projection is
    # drawn here, as one square matrix.
    for projection in (attention.query_dense, attention.key_dense, attention.value_dense):
        drawn = branches.initializers.glorot()((width, width))
        projection.kernel.assign(keras.ops.reshape(drawn, projection.kernel.shape))
    drawn = branches.initializers.glorot(branches.last_scale)((width, width))
    last = attention.output_dense.kernel
    last.assign(keras.ops.reshape(drawn, last.shape))
    return output
