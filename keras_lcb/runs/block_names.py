"""Which block of a network a layer belongs to, read from the layer's name."""

from __future__ import annotations

import re

# Patterns of layer names, the most specific first, each with the name of the block to which a
# matching layer belongs. The text before the match is kept in front of the block's name.
_SCHEMES = tuple(
    (re.compile(rf"(?P<before>(?:^|.*?/)){pattern}", re.IGNORECASE), block)
    for pattern, block in (
        # NASNet: normal_conv_1_12 and adjust_bn_12 both belong to cell 12.
        (
            r"(?:(?:normal|reduction)_A_block_.*/)?"
            r"(?:separable_conv_\d\w*_(?:left|right)\d|(?:normal|reduction)_(?:conv|bn)_\d"
            r"|adjust_(?:conv_\w+?|bn))_(?P<cell>(?:stem_|reduce_)?\d+)$",
            r"cell_\g<cell>",
        ),
        # InceptionResNet: block17_7_conv.
        (r"(?P<block>block\d+_\d+)(?=[_/])", r"\g<block>"),
        # stage1_block2_conv1, conv4_block6_1_bn, block_16_expand, block6l_dwconv2, blocks/0/dense.
        (r"(?P<block>.*?blocks?[_/]?\d+[a-z]?)(?=[_/]|$)", r"\g<block>"),
        # Layers that hold others, as in encoder/layer_3/attention.
        (r"(?P<block>.*?layers?[_/]?\d+)(?=/)", r"\g<block>"),
        # MobileNetV3: expanded_conv_1_project; its first block has no number.
        (r"(?P<block>expanded_conv(?:_\d+)?)(?=_)", r"\g<block>"),
        # MobileNet: conv_dw_1 and conv_pw_1; build_cnn: conv_1 and norm_1.
        (r"conv_(?:dw|pw)_(?P<number>\d+)(?=_|$)", r"conv_\g<number>"),
        (r"norm_(?P<number>\d+)$", r"conv_\g<number>"),
        # Outside of blocks: a stem, and a layer with its normalization.
        (r"(?P<block>[^/]*?stem)(?=[_/])", r"\g<block>"),
        (r"bn_(?P<block>[^/]+)$", r"\g<block>"),
        (r"(?P<block>[^/]+)_(?:conv|dense|bn|norm|layernorm)$", r"\g<block>"),
    )
)


def block_name(layer: str) -> str:
    """Returns the block that a layer belongs to, as far as its name tells.

    The naming schemes of `keras.applications` and of `keras_lcb.vision` are known. Outside of
    blocks, a convolution and its normalization form a block. A layer whose name fits no scheme is
    a block of its own. That includes layers that Keras numbered by itself (`conv2d_17`): all of
    InceptionV3 but its head, most of InceptionResNetV2, and the four shortcuts of Xception.

    Args:
        layer: Name of the layer, or its path within the model, such as `base/block1a_dwconv`.

    Returns:
        The block's name, including the path before it. It is the same for all layers of a block,
        and different for different blocks.

    Example:
        >>> [block_name(name) for name in ("conv4_block6_1_bn", "conv4_block6_2_conv")]
        ['conv4_block6', 'conv4_block6']
        >>> block_name("base/block1a_dwconv"), block_name("predictions")
        ('base/block1a', 'predictions')
    """
    for pattern, block in _SCHEMES:
        match = pattern.match(layer)
        if match:
            return match["before"] + match.expand(block)
    return layer
