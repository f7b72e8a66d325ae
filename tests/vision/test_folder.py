"""Folders in Keras' layout, made here with Pillow."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from PIL import Image

from keras_lcb import vision


def write(folder, classes: dict[str, int], size=(6, 5), first=0) -> dict[str, list[np.ndarray]]:
    """Writes noise images as PNG, and returns them by class."""
    written = {}
    for number, (name, count) in enumerate(classes.items()):
        (folder / name).mkdir(parents=True)
        written[name] = []
        for index in range(count):
            random = np.random.default_rng((first, number, index))
            image = random.integers(0, 256, (*size, 3), dtype=np.uint8)
            Image.fromarray(image).save(folder / name / f"{index}.png")
            written[name].append(image)
    return written


def pairs(batches) -> set[tuple[bytes, int]]:
    return {
        (np.rint(image * 255).astype(np.uint8).tobytes(), int(label))
        for images, labels in batches
        for image, label in zip(images.numpy(), labels.numpy(), strict=True)
    }


def expected(written) -> set[tuple[bytes, int]]:
    return {(i.tobytes(), label) for label, name in enumerate(written) for i in written[name]}


def test_each_image_comes_with_the_class_of_its_folder(tmp_path):
    written = write(tmp_path, {"cat": 12, "dog": 10, "eel": 8})
    (tmp_path / ".hidden").mkdir()
    data = vision.load(tmp_path, image_size=(6, 5), batch_size=4)
    assert (data.shape, data.classes, data.maximum) == ((6, 5, 3), 3, 255)
    train, validation = pairs(data.train), pairs(data.validation)
    assert (len(train), len(validation)) == (24, 6)
    assert train | validation == expected(written)
    assert {label for _, label in validation} == {0, 1, 2}


def test_the_same_images_are_held_out_each_time(tmp_path):
    write(tmp_path, {"cat": 10, "dog": 10})
    one, other = (vision.load(tmp_path, image_size=(6, 5), seed=seed) for seed in (1, 2))
    assert pairs(one.validation) == pairs(other.validation)


def test_folders_of_splits_are_splits(tmp_path):
    written = {
        split: write(tmp_path / split, {"cat": 4, "dog": 3}, first=number)
        for number, split in enumerate(("train", "val", "extra"))
    }
    data = vision.load(tmp_path, image_size=(6, 5))
    assert pairs(data.train) == expected(written["train"])
    assert pairs(data.validation) == expected(written["val"])


def test_a_class_called_train_is_a_class(tmp_path):
    write(tmp_path, {"bus": 5, "train": 5})
    assert vision.load(tmp_path, image_size=(6, 5)).classes == 2


def test_keras_reads_and_resizes_them(tmp_path, monkeypatch):
    write(tmp_path / "pets", {"cat": 5, "dog": 5}, size=(12, 9))
    monkeypatch.chdir(tmp_path)
    data = vision.load("./pets", image_size=(4, 3), color_mode="grayscale", interpolation="nearest")
    keras_own = keras.utils.image_dataset_from_directory(
        tmp_path / "pets",
        image_size=(4, 3),
        color_mode="grayscale",
        interpolation="nearest",
        verbose=False,
    )
    scaled = keras_own.map(lambda images, labels: (images / 255, labels))
    assert data.shape == (4, 3, 1)
    assert pairs(data.train) | pairs(data.validation) == pairs(scaled)


@pytest.mark.parametrize(
    "classes, arguments, message",
    [
        ({}, {}, "a folder of its own.*has no folders and so no labels"),
        ({"cat": 3}, {}, "images of one class only, cat"),
        ({"cat": 3, "dog": 0}, {}, "without images for dog"),
        ({"cat": 0, "dog": 0}, {}, "No images found"),
        ({"cat": 3, "dog": 3}, {"image_size": None}, "`image_size` is needed"),
        ({"cat": 3, "dog": 3}, {"labels": None}, "Images need labels"),
        ({"cat": 3, "dog": 3}, {"label_mode": None}, "Images need labels"),
        (
            {"cat": 3, "dog": 3},
            {"validation_split": 0.5},
            "`validation_split`, which is not passed on",
        ),
        ({"cat": 3, "dog": 3}, {"shuffle": True}, "`shuffle`, which is not passed on"),
        ({"cat": 3, "dog": 3}, {"colour": "rgb"}, "takes no `colour`.*color_mode"),
        ({"cat": 3, "dog": 3}, {"directory": "."}, "takes no `directory`"),
    ],
)
def test_folders_that_cannot_be_learned_from_are_refused(tmp_path, classes, arguments, message):
    write(tmp_path, classes)
    with pytest.raises(ValueError, match=message):
        vision.load(tmp_path, **{"image_size": (6, 5)} | arguments)


def test_splits_of_other_classes_are_refused(tmp_path):
    write(tmp_path / "train", {"cat": 2, "dog": 2})
    write(tmp_path / "test", {"dog": 2, "eel": 2})
    with pytest.raises(ValueError, match="train has cat, dog, and test has dog, eel"):
        vision.load(tmp_path, image_size=(6, 5))


def test_no_such_folder_is_said():
    with pytest.raises(ValueError, match="received 'no/such'"):
        vision.load("./no/such", image_size=(6, 5))
