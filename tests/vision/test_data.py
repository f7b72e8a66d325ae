"""What `load` does with any set: order, batches, sizes, splits, augmentation."""

from __future__ import annotations

import keras
import numpy as np
import pytest

from keras_lcb import vision


def arrays(batches) -> tuple[np.ndarray, np.ndarray]:
    pairs = [(images.numpy(), labels.numpy()) for images, labels in batches]
    return tuple(np.concatenate(part) for part in zip(*pairs, strict=True))


def test_order_follows_the_seed_and_changes_each_epoch():
    def labels(seed, epochs=1):
        train, _ = vision.load("digits", seed=seed)
        return [np.concatenate([batch.numpy() for _, batch in train]) for _ in range(epochs)]

    first, second = labels(seed=3, epochs=2)
    np.testing.assert_array_equal(first, labels(seed=3)[0])
    assert not np.array_equal(first, second)
    assert not np.array_equal(first, labels(seed=4)[0])


def test_splits_are_slices_of_the_one_there_is():
    whole = vision.load("digits", validation_fraction=0.5)
    train, validation = vision.load("digits", splits=("train[100:103]", "train[-2:]"))
    assert (len(arrays(train)[0]), len(arrays(validation)[0])) == (3, 2)
    np.testing.assert_array_equal(arrays(validation)[0], arrays(whole.validation)[0][-2:])


@pytest.mark.parametrize(
    "splits, message",
    [
        (("train", "test"), r"'digits' has no part 'test'.*'train' \(1797 images\)"),
        (("train[", "train"), r"no part 'train\['"),
        (("train[:2000]", "train"), r"no part 'train\[:2000\]'"),
        (("train+train", "train"), r"no part 'train\+train'"),
        (("train[:1shard]", "train"), r"no part 'train\[:1shard\]'"),
        (("train[:60%]", "train[50%:]"), "180 images in common"),
        (("train", "train"), "1797 images in common"),
        (("train[5:5]", "train[5:]"), "no image to train on"),
        (("train[5:]", "train[:0]"), "no image to validate with"),
        (("train",), "`splits` must name two parts"),
        ("train", "`splits` must name two parts"),
        ((0, 1), "`splits` must name two parts"),
    ],
)
def test_splits_that_cannot_be_are_refused(splits, message):
    with pytest.raises(ValueError, match=message):
        vision.load("digits", splits=splits)


def test_images_are_resized():
    data = vision.load("synthetic_textures", image_size=(8, 16), images=10, noise=0)
    assert data.shape == (8, 16, 1)
    same = vision.load("synthetic_textures", image_size=(32, 32), images=10)
    plain = vision.load("synthetic_textures", images=10)
    np.testing.assert_array_equal(arrays(same.validation)[0], arrays(plain.validation)[0])


@pytest.mark.parametrize("size", [8, (8,), (8, 0), (8, 8.5), "88"])
def test_sizes_that_cannot_be_are_refused(size):
    with pytest.raises(ValueError, match="image_size"):
        vision.load("digits", image_size=size)


def _mirrored(seed: int) -> keras.layers.Layer:
    return keras.layers.RandomFlip("horizontal", seed=seed)


def test_augmentation_changes_training_images_only_and_anew_each_epoch():
    plain = vision.load("digits", seed=1)
    data = vision.load("digits", seed=1, augmentation=[_mirrored(5)])
    np.testing.assert_array_equal(arrays(data.validation)[0], arrays(plain.validation)[0])
    mirrored = []
    for _ in range(2):
        (images, labels), (before, expected) = arrays(data.train), arrays(plain.train)
        np.testing.assert_array_equal(labels, expected)
        turned = (images == before[:, :, ::-1]).all(axis=(1, 2, 3))
        assert (turned | (images == before).all(axis=(1, 2, 3))).all()
        assert 0.4 < turned.mean() < 0.6
        mirrored.append(turned)
    assert not np.array_equal(*mirrored)


def test_augmentation_with_the_same_seeds_comes_again():
    def images(seed):
        layers = [_mirrored(seed), keras.layers.RandomTranslation(0.2, 0.2, seed=seed)]
        return arrays(vision.load("digits", augmentation=layers).train)[0]

    np.testing.assert_array_equal(images(7), images(7))
    assert not np.array_equal(images(7), images(8))


@pytest.mark.parametrize(
    "layers, message",
    [
        (_mirrored(0), "list of Keras layers"),
        (["flip"], "list of Keras layers; received.*flip"),
        (
            [keras.layers.RandomCrop(6, 6)],
            r"shape \(8, 8, 1\) and type float32.*\(6, 6, 1\) and float32",
        ),
        ([keras.layers.RandomFlip(dtype="float16")], "and float16"),
    ],
)
def test_augmentation_that_does_not_fit_is_refused(layers, message):
    with pytest.raises(ValueError, match=message):
        vision.load("digits", augmentation=layers)


@pytest.mark.parametrize(
    "wrong",
    [
        {"validation_fraction": 0},
        {"validation_fraction": 1.0},
        {"validation_fraction": "0.2"},
        {"batch_size": 0},
        {"batch_size": 2.5},
        {"seed": "a"},
        {"color": 1},
    ],
)
def test_settings_out_of_range_are_named(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        vision.load("digits", **wrong)


@pytest.mark.parametrize("name", [3, None, ["digits"]])
def test_what_names_no_set_is_refused(name):
    with pytest.raises(ValueError, match="A data set is named by text, such as 'digits'"):
        vision.load(name)


@pytest.mark.parametrize(
    "shape, classes, message",
    [
        ((8, 8, 3), 10, r"takes images of the shape \(8, 8, 3\), and these have \(8, 8, 1\)"),
        ((16, 8, 1), 10, r"takes images of the shape \(16, 8, 1\)"),
        ((8, 8, 1), 5, "'cnn' has outputs for 5 classes, and the images have 10 .* classes=10"),
    ],
)
def test_a_model_that_does_not_fit_is_refused(shape, classes, message):
    data = vision.load("digits")
    with pytest.raises(ValueError, match=message):
        data.check(vision.build_cnn(shape, classes, depth=1, width=2))
    flat = keras.Sequential([keras.Input((64,)), keras.layers.Dense(10)])
    with pytest.raises(ValueError, match=r"takes images of the shape \(64,\)"):
        data.check(flat)
    data.check(keras.Sequential([keras.Input((None, None, 1)), keras.layers.Dense(10)]))
