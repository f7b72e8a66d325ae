"""Images in folders, one for each class, read by Keras."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np

from keras_lcb.vision.splits import HELD_OUT, TRAIN
from keras_lcb.vision.stored import StoredImages

# What of Keras' function is settled here.
_SETTLED = {
    "batch_size": None,
    "format": "tf",
    "label_mode": "int",
    "labels": "inferred",
    "shuffle": False,
    "verbose": False,
}
_ELSEWHERE = {"data_format", "seed", "subset", "validation_split"}


def is_folder(name: Any) -> bool:
    """Tells whether a set is named by a path: a `Path`, or text such as "./x", "~/x" or "/x"."""
    return isinstance(name, os.PathLike) or (
        isinstance(name, str) and (name.startswith((".", "~")) or os.path.isabs(name))
    )


def images_in(
    folder: str | os.PathLike[str], image_size: tuple[int, int] | None, **arguments: Any
) -> StoredImages:
    """Returns the images of a folder in the layout of `keras.utils.image_dataset_from_directory`.

    Each folder in it is a class: `folder/cat/1.png`. If it holds the folder `train`, and that
    holds folders, its folders are splits: `folder/train/cat/1.png`, `folder/test/cat/2.png`.
    Keras reads the images class by class; they are mixed here, always in the same way, so that
    each part of them holds all classes.

    Args:
        folder: The folder.
        image_size: (height, width) to which Keras resizes each image.
        **arguments: Further ones of `image_dataset_from_directory`, such as `color_mode`.

    Raises:
        ValueError: If there is no such folder, no class in it, or a class without images, if
            splits have other classes, or if the size or an argument is none that can be had.
    """
    path = Path(folder).expanduser()
    if not path.is_dir():
        raise ValueError(f"There is no folder '{path}' with images.")
    if image_size is None:
        raise ValueError(
            f"Images in folders are resized when they are read: say to what size those in '{path}' "
            "are, for example `image_size=(64, 64)`."
        )
    _check_arguments(path, arguments)
    held_out = [split for split in HELD_OUT if _folders(path / split)]
    names = [TRAIN, *held_out] if _folders(path / TRAIN) else []
    read = {name: _read(path / name, image_size, arguments) for name in names}
    read = read or {TRAIN: _read(path, image_size, arguments)}
    classes = {split: names for split, (_, _, names) in read.items()}
    for split, found in classes.items():
        if found != classes[TRAIN]:
            raise ValueError(
                f"All splits of '{path}' need the same classes: {TRAIN} has "
                f"{', '.join(classes[TRAIN])}, and {split} has {', '.join(found)}."
            )
    stored = {split: (images, labels) for split, (images, labels, _) in read.items()}
    return StoredImages(stored, classes=len(classes[TRAIN]), maximum=255)


def _check_arguments(path: Path, arguments: dict[str, Any]) -> None:
    if arguments.get("labels", "") is None or arguments.get("label_mode", "") is None:
        raise ValueError(
            f"Without labels no classifier can be trained on '{path}': leave out `labels` and "
            "`label_mode`, so that each folder is a class."
        )
    for name in arguments:
        if name in _SETTLED or name in _ELSEWHERE:
            raise ValueError(
                f"`{name}` is not passed on to Keras: `load` settles it by itself, or by "
                "`batch_size`, `validation_fraction`, `splits` and `seed`."
            )


def _folders(path: Path) -> list[str]:
    if not path.is_dir():
        return []
    found = (entry.name for entry in path.iterdir() if entry.is_dir())
    return sorted(name for name in found if not name.startswith("."))


def _read(
    path: Path, image_size: tuple[int, int], arguments: dict[str, Any]
) -> tuple[np.ndarray, np.ndarray, list[str]]:
    import keras

    if not _folders(path):
        raise ValueError(
            f"'{path}' has no labels: an image's label is the folder in which it stands, such as "
            f"'{path / 'cat' / '1.png'}', and there is no folder in it."
        )
    data = keras.utils.image_dataset_from_directory(
        str(path), image_size=tuple(image_size), **_SETTLED, **arguments
    )
    batches = [(images.numpy(), labels.numpy()) for images, labels in data.batch(256)]
    images = np.concatenate([np.rint(images).clip(0, 255) for images, _ in batches])
    labels = np.concatenate([labels for _, labels in batches]).astype("int64")
    empty = set(range(len(data.class_names))) - set(labels.tolist())
    if empty:
        told = ", ".join(data.class_names[label] for label in sorted(empty))
        raise ValueError(f"There are no images for these classes of '{path}': {told}.")
    if len(data.class_names) < 2:
        raise ValueError(
            f"'{path}' holds images of one class only, {data.class_names[0]}: a classifier needs "
            "two or more."
        )
    order = np.random.default_rng(0).permutation(len(labels))
    return images.astype("uint8")[order], labels[order], data.class_names
