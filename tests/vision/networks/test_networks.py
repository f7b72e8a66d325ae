"""What holds for every network, and how networks are found."""

from __future__ import annotations

import random

import keras
import numpy as np
import pytest
from sklearn.datasets import load_digits

from keras_lcb import vision
from keras_lcb.runs.block_names import block_name
from keras_lcb.vision import networks
from tests.vision.networks.declared import declared

# Two blocks each, as small as they get.
TINY = {
    "cnn": {"depth": 2},
    "mixer": {"depths": (2,), "patch_size": 2},
    "resnet": {"depths": (1, 1)},
    "vgg": {"depths": (1, 1)},
    "vit": {"depths": (2,), "patch_size": 2},
}
BY_STAGE = [name for name in TINY if name != "cnn"]


def build(name, classes=10, width=8, **arguments) -> keras.Model:
    return networks.builder(name)((8, 8, 1), classes, width=width, **TINY[name] | arguments)


def declare(name, **arguments) -> keras.Model:
    return declared(build, name, **arguments)


def weights(model: keras.Model) -> list[np.ndarray]:
    return [keras.ops.convert_to_numpy(weight) for weight in model.weights]


@pytest.mark.parametrize("normalization", [True, False])
@pytest.mark.parametrize("name", TINY)
def test_digits_are_learned(name, normalization):
    images, labels = load_digits(return_X_y=True)
    images, labels = images[:200].reshape(-1, 8, 8, 1) / 16, labels[:200]
    model = build(name, normalization=normalization)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.Adam(0.01), loss)
    history = model.fit(images, labels, batch_size=50, epochs=20, shuffle=False, verbose=0)
    # Guessing costs ln 10 = 2.3.
    assert history.history["loss"][-1] < 2.0


@pytest.mark.parametrize("name", TINY)
def test_the_seed_decides_the_weights(name):
    one, same, other = (build(name, seed=seed) for seed in (1, 1, 2))
    for a, b in zip(weights(one), weights(same), strict=True):
        np.testing.assert_array_equal(a, b)
    drawn = [(a, b) for a, b in zip(weights(one), weights(other), strict=True) if np.ptp(a) > 0]
    assert len(drawn) >= 3
    assert not any(np.array_equal(a, b) for a, b in drawn)


@pytest.mark.parametrize("name", TINY)
def test_no_two_kernels_begin_alike(name):
    kernels = [w for w in weights(build(name)) if w.ndim > 1 and np.ptp(w) > 0]
    alike = [
        (a, b)
        for a in range(len(kernels))
        for b in range(a)
        if kernels[a].shape == kernels[b].shape and np.array_equal(kernels[a], kernels[b])
    ]
    assert alike == []


@pytest.mark.parametrize("name", TINY)
def test_global_random_states_stay_as_they_are(name):
    def next_numbers() -> list[float]:
        drawn = keras.ops.convert_to_numpy(keras.random.normal((1,)))
        return [random.random(), np.random.rand(), float(drawn[0])]

    keras.utils.set_random_seed(5)
    expected = next_numbers()
    keras.utils.set_random_seed(5)
    build(name)
    assert next_numbers() == expected


@pytest.mark.parametrize("name", TINY)
def test_networks_load_as_saved_and_have_only_layers_of_keras(name, tmp_path):
    model = build(name)
    x = np.random.default_rng(0).random((3, 8, 8, 1), "float32")
    model.save(tmp_path / "model.keras")
    expected = keras.ops.convert_to_numpy(model(x))
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_allclose(keras.ops.convert_to_numpy(loaded(x)), expected, rtol=1e-5)
    assert {type(layer).__module__.split(".")[0] for layer in loaded.layers} == {"keras"}


@pytest.mark.parametrize("name", BY_STAGE)
def test_layers_group_into_stages_and_blocks(name):
    model = declare(name)
    trained = [layer.name for layer in model.layers if layer.trainable_weights]
    blocks = list(dict.fromkeys(map(block_name, trained)))
    own = [block for block in blocks if block.startswith("stage")]
    stages = len(TINY[name]["depths"])
    assert own == (
        ["stage1_block1", "stage2_block1"] if stages == 2 else ["stage1_block1", "stage1_block2"]
    )
    assert set(blocks) - set(own) <= {"stem", "head"}


@pytest.mark.parametrize("name", BY_STAGE)
def test_without_normalization_nothing_normalizes(name):
    def kinds(normalization):
        model = declare(name, normalization=normalization)
        return {type(layer).__name__ for layer in model.layers}

    assert {kind for kind in kinds(True) if "Normalization" in kind}
    assert not {kind for kind in kinds(False) if "Normalization" in kind}


@pytest.mark.parametrize("name, depths", [("resnet", (12, 12)), ("vit", (24,)), ("mixer", (24,))])
def test_without_normalization_depth_does_not_blow_up_the_output(name, depths):
    x = np.random.default_rng(0).random((16, 8, 8, 1), "float32")
    shallow, deep = (
        build(name, depths=each, normalization=False) for each in (TINY[name]["depths"], depths)
    )
    small, large = (keras.ops.convert_to_numpy(model(x)).std() for model in (shallow, deep))
    # Branches of full size would double the variance each time: 2^24 = 4,000² for 24 of them.
    assert 0.2 < large / small < 5


@pytest.mark.parametrize("name", TINY)
@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"input_shape": (8, 8)}, r"`input_shape` must be \(height, width, channels\).*\(8, 8\)"),
        ({"input_shape": 8}, r"`input_shape` must be \(height, width, channels\).*received 8"),
        ({"input_shape": (8, 8, None)}, r"input_shape \(channels\).*None"),
        ({"classes": 0}, "classes.*0"),
        ({"classes": 1}, "`classes` must be the number of classes, 2 or more; received 1"),
        ({"classes": 2.5}, "classes.*2.5"),
        ({"width": 0}, "width.*0"),
        ({"seed": -1}, "seed"),
    ],
)
def test_arguments_that_no_classifier_can_have_are_named(name, arguments, message):
    given = {"input_shape": (8, 8, 1), "classes": 10, "width": 8} | TINY[name]
    with pytest.raises(ValueError, match=message):
        networks.builder(name)(**given | arguments)


@pytest.mark.parametrize("name", BY_STAGE)
@pytest.mark.parametrize(
    "depths, message",
    [
        ((), "`depths` must be a list with the number of blocks of each stage"),
        (3, "`depths` must be a list with the number of blocks of each stage.*received 3"),
        ("3", "`depths` must be a list with the number of blocks of each stage.*received '3'"),
        ((0,), r"depths \(stage 1\)"),
        ((1.5,), r"depths \(stage 1\)"),
    ],
)
def test_depths_that_are_none_are_refused(name, depths, message):
    with pytest.raises(ValueError, match=message):
        build(name, depths=depths)


@pytest.mark.parametrize("name, stages", [("resnet", 5), ("vgg", 4)])
def test_more_stages_than_the_image_can_be_halved_are_refused(name, stages):
    assert declare(name, depths=(1,) * (stages - 1)).output_shape == (None, 10)
    with pytest.raises(ValueError, match=f"{stages} stages.*8x8 pixels are too small"):
        build(name, depths=(1,) * stages)


@pytest.mark.parametrize("name", ["vit", "mixer"])
def test_more_stages_than_one_are_refused_where_there_is_one(name):
    with pytest.raises(ValueError, match=rf"{name} has one stage.*\(2,\).*\(2, 3\) for 2 stages"):
        build(name, depths=(2, 3))
    with pytest.raises(ValueError, match="received 3, which does not divide 8x8"):
        build(name, patch_size=3)


def test_an_unknown_network_gets_the_nearest_name():
    with pytest.raises(ValueError, match="There is no network 'resnet20'. Did you mean 'resnet'?"):
        networks.builder("resnet20")
    with pytest.raises(ValueError, match="There are: cnn, mixer"):
        networks.builder("zzz")
    with pytest.raises(AttributeError, match="build_lenet"):
        vision.build_lenet  # noqa: B018


def test_every_network_has_its_tests():
    assert set(networks.NAMES) == set(TINY)
    assert {f"build_{name}" for name in TINY} <= set(vision.__all__) & set(dir(vision))
