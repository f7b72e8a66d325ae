"""Images in folders, one for each class, read by Keras."""

from __future__ import annotations

import inspect
import os
from pathlib import Path
from typing import Any

import numpy as np

from keras_lcb.vision.splits import HELD_OUT, TRAIN
from keras_lcb.vision.stored import StoredImages

# Arguments of `keras.utils.image_dataset_from_directory` with a fixed value here.
_FIXED = {
    "batch_size": None,
    "format": "tf",
    "label_mode": "int",
    "labels": "inferred",
    "shuffle": False,
    "verbose": False,
}
# Arguments of it that are not used, because `load` has its own.
_UNUSED = {"data_format", "seed", "subset", "validation_split"}


def is_folder(name: Any) -> bool:
    """Returns whether a name is a path: a `Path`, or text such as "./x", "~/x" or "/x"."""
    return isinstance(name, os.PathLike) or (
        isinstance(name, str) and (name.startswith((".", "~")) or os.path.isabs(name))
    )


def images_in(
    folder: str | os.PathLike[str], image_size: tuple[int, int] | None, **arguments: Any
) -> StoredImages:
    """Returns the images of a folder in the layout of `keras.utils.image_dataset_from_directory`.

    Each folder inside of it is a class: `folder/cat/1.png`. But if it contains a folder `train`
    that contains folders, its folders are splits: `folder/train/cat/1.png`,
    `folder/test/cat/2.png`. Keras reads the images class by class. They are shuffled here, always
    in the same way, so that each part of them holds all classes.

    Args:
        folder: The folder.
        image_size: (height, width) to which Keras resizes each image.
        **arguments: Other arguments of `image_dataset_from_directory`, for example `color_mode`.

    Raises:
        ValueError: If the folder does not exist, has no classes, or has a class without images; if
            its splits have different classes; if `image_size` is missing; or if an argument cannot
            be used.
    """
    path = Path(folder).expanduser()
    if not path.is_dir():
        raise ValueError(f"The images must be in a folder; received '{path}', which is no folder.")
    if image_size is None:
        raise ValueError(
            f"Images in folders are resized when they are read, so `image_size` is needed; "
            f"received None for the folder '{path}'. Pass a size, for example "
            "`image_size=(64, 64)`."
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
                f"All splits must have the same classes; received '{path}', in which {TRAIN} has "
                f"{', '.join(classes[TRAIN])}, and {split} has {', '.join(found)}."
            )
    stored = {split: (images, labels) for split, (images, labels, _) in read.items()}
    return StoredImages(stored, classes=len(classes[TRAIN]), maximum=255)


def _check_arguments(path: Path, arguments: dict[str, Any]) -> None:
    if arguments.get("labels", "") is None or arguments.get("label_mode", "") is None:
        raise ValueError(
            f"Images need labels to train a classifier; received None for the labels of '{path}'. "
            "Leave out `labels` and `label_mode`, so that each folder is a class."
        )
    for name in arguments:
        if name in _FIXED or name in _UNUSED:
            raise ValueError(
                f"Received `{name}`, which is not passed on to Keras. Leave it out, and use "
                "`batch_size`, `validation_fraction`, `splits` and `seed` of `load`."
            )
        if name not in _taken():
            raise ValueError(
                f"Images in folders are read by `keras.utils.image_dataset_from_directory`, which "
                f"takes no `{name}` here. It takes: {', '.join(_taken())}."
            )


def _taken() -> list[str]:
    """Returns the names of the arguments that are passed on to Keras."""
    import keras

    known = inspect.signature(keras.utils.image_dataset_from_directory).parameters
    own = {"directory", "image_size", *_FIXED, *_UNUSED}
    return [name for name in known if name not in own]


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
            f"Each class must have a folder of its own, for example '{path / 'cat' / '1.png'}'; "
            f"received '{path}', which has no folders and so no labels."
        )
    data = keras.utils.image_dataset_from_directory(
        str(path), image_size=tuple(image_size), **_FIXED, **arguments
    )
    batches = [(images.numpy(), labels.numpy()) for images, labels in data.batch(256)]
    images = np.concatenate([np.rint(images).clip(0, 255) for images, _ in batches])
    labels = np.concatenate([labels for _, labels in batches]).astype("int64")
    empty = set(range(len(data.class_names))) - set(labels.tolist())
    if empty:
        names = ", ".join(data.class_names[label] for label in sorted(empty))
        raise ValueError(
            f"Each class must have images; received '{path}' without images for {names}."
        )
    if len(data.class_names) < 2:
        raise ValueError(
            f"A classifier needs two classes or more; received '{path}' with images of one class "
            f"only, {data.class_names[0]}."
        )
    order = np.random.default_rng(0).permutation(len(labels))
    return images.astype("uint8")[order], labels[order], data.class_names
