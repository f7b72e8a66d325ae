from __future__ import annotations

import keras
import numpy as np
import pytest

from keras_lcb import vision
from tests.vision.networks.declared import declared, parameters


def _tiles_moved(images: np.ndarray, size: int) -> np.ndarray:
    """The images with their tiles in another order."""
    count, height, width, channels = images.shape
    rows, columns = height // size, width // size
    tiles = images.reshape(count, rows, size, columns, size, channels).swapaxes(2, 3)
    tiles = tiles.reshape(count, rows * columns, size, size, channels)
    tiles = tiles[:, np.random.default_rng(1).permutation(rows * columns)]
    tiles = tiles.reshape(count, rows, columns, size, size, channels).swapaxes(2, 3)
    return tiles.reshape(images.shape)


def test_but_for_the_class_token_it_has_the_published_parameters():
    """Those of ViT-Ti/16, DeiT-Ti (Touvron et al. 2021), on 224x224 pixels."""
    model = declared(
        vision.build_vit, (224, 224, 3), 1000, depths=(12,), width=192, patch_size=16, heads=3
    )
    token_and_its_position = 2 * 192
    assert parameters(model) == 5_717_416 - token_and_its_position


@pytest.mark.parametrize("normalization", [True, False])
def test_parameters_counted_by_hand(normalization):
    model = declared(vision.build_vit, (8, 12, 3), 5, (2,), 8, normalization, patch_size=4, heads=2)
    stem = 4 * 4 * 3 * 8 + 8 + 2 * 3 * 8
    attention = 4 * (8 * 8 + 8)
    mlp = 8 * 32 + 32 + 32 * 8 + 8
    norms = 2 * 2 * 2 * 8 + 2 * 8 if normalization else 0
    assert parameters(model) == stem + 2 * (attention + mlp) + norms + 8 * 5 + 5


def test_only_positions_tell_one_place_from_another():
    model = vision.build_vit((8, 8, 1), 5, depths=(2,), width=8, patch_size=2)
    x = np.random.default_rng(0).random((3, 8, 8, 1), "float32")
    moved = _tiles_moved(x, 2)

    def logits(images):
        return keras.ops.convert_to_numpy(model(images))

    assert abs(logits(moved) - logits(x)).max() > 1e-4
    positions = model.get_layer("stem_positions")
    positions.set_weights([np.zeros_like(positions.get_weights()[0])])
    np.testing.assert_allclose(logits(moved), logits(x), atol=1e-5)


def test_each_token_gets_its_own_position():
    model = vision.build_vit((4, 6, 1), 5, depths=(1,), width=4, patch_size=2)
    tokens = model.get_layer("stem_tokens").output
    part = keras.Model(model.input, [tokens, model.get_layer("stem_add").output])
    x = np.random.default_rng(0).random((3, 4, 6, 1), "float32")
    before, after = (keras.ops.convert_to_numpy(each) for each in part(x))
    (table,) = model.get_layer("stem_positions").get_weights()
    assert table.shape == (6, 4) and np.ptp(table) > 0
    np.testing.assert_allclose(after, before + table, rtol=1e-6)


def test_projections_are_drawn_apart_at_glorot_size():
    model = vision.build_vit((8, 8, 1), 5, depths=(1,), width=64, heads=4)
    attention = model.get_layer("stage1_block1_attention")
    projections = [attention.query_dense, attention.key_dense, attention.value_dense]
    kernels = [layer.get_weights()[0].reshape(64, 64) for layer in projections]
    kernels.append(attention.output_dense.get_weights()[0].reshape(64, 64))
    for kernel in kernels:
        assert kernel.std() == pytest.approx((2 / (64 + 64)) ** 0.5, rel=0.05)
        assert abs(kernel).max() <= (6 / (64 + 64)) ** 0.5
    flat = np.corrcoef([kernel.ravel() for kernel in kernels])
    assert abs(flat - np.eye(4)).max() < 0.1


def test_heads_must_divide_the_width():
    with pytest.raises(ValueError, match="multiple of `heads`.*width=10 and heads=4"):
        vision.build_vit((8, 8, 1), 5, width=10)
    with pytest.raises(ValueError, match="heads"):
        vision.build_vit((8, 8, 1), 5, heads=0)
