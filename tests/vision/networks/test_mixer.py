from __future__ import annotations

import keras
import numpy as np
import pytest

from keras_lcb import vision
from tests.vision.networks.declared import declared, parameters


def test_it_has_the_published_parameters():
    """Mixer-S/16 has 18 million (table 1 of Tolstikhin et al. 2021); timm counts them out."""
    model = declared(vision.build_mixer, (224, 224, 3), 1000, depths=(8,), width=512, patch_size=16)
    assert parameters(model) == 18_528_264


@pytest.mark.parametrize("normalization", [True, False])
def test_parameters_counted_by_hand(normalization):
    model = declared(vision.build_mixer, (8, 12, 3), 5, (2,), 8, normalization, patch_size=4)
    stem = 4 * 4 * 3 * 8 + 8
    tokens = 6 * 4 + 4 + 4 * 6 + 6
    channels = 8 * 32 + 32 + 32 * 8 + 8
    norms = 2 * 2 * 2 * 8 + 2 * 8 if normalization else 0
    assert parameters(model) == stem + 2 * (tokens + channels) + norms + 8 * 5 + 5


def test_token_layers_mix_places_and_channel_layers_do_not():
    model = vision.build_mixer((4, 4, 1), 5, depths=(1,), width=8, patch_size=2)

    def reach(layer: str) -> np.ndarray:
        """Which tokens a change of the first patch reaches."""
        part = keras.Model(model.input, model.get_layer(layer).output)
        x = np.random.default_rng(0).random((2, 4, 4, 1), "float32")
        x[1] = x[0]
        x[1, :2, :2] += 1
        one, other = keras.ops.convert_to_numpy(part(x))
        return abs(one - other).max(axis=-1) > 1e-6

    assert reach("stage1_block1_norm1").tolist() == [True, False, False, False]
    assert reach("stage1_block1_add1").all()
    last = model.get_layer("stage1_block1_tokens2")
    last.set_weights([np.zeros_like(weight) for weight in last.get_weights()])
    assert reach("stage1_block1_add2").tolist() == [True, False, False, False]


def test_a_token_of_one_number_is_refused():
    with pytest.raises(ValueError, match="`width` must be 2 or more"):
        vision.build_mixer((8, 8, 1), 5, width=1)
