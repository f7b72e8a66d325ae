"""Labelled images in memory, as a set has them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import tensorflow as tf

    from keras_lcb.vision.splits import Part


@dataclass(frozen=True)
class StoredImages:
    """Labelled images in memory.

    Args:
        splits: Name of each split to its images, (images, height, width, channels), in whole
            numbers, and labels, (images,), from 0 to `classes - 1`. What is held out of a split is
            its end, so images stand in an order in which any part holds all classes.
        classes: Number of classes.
        maximum: The pixel value that becomes 1.

    Raises:
        ValueError: If images or labels have another rank or range.
    """

    splits: Mapping[str, tuple[np.ndarray, np.ndarray]]
    classes: int
    maximum: int

    def __post_init__(self) -> None:
        for name, (images, labels) in self.splits.items():
            _check(name, images, labels, self.classes)

    @property
    def sizes(self) -> dict[str, int]:
        """The number of images in each split."""
        return {name: len(labels) for name, (_, labels) in self.splits.items()}

    def read(self, part: Part) -> tf.data.Dataset:
        """Returns the images and labels of a part, one by one, in their order."""
        import tensorflow as tf

        images, labels = self.splits[part.split]
        chosen = slice(part.start, part.stop)
        return tf.data.Dataset.from_tensor_slices((images[chosen], labels[chosen]))


def _check(name: str, images: np.ndarray, labels: np.ndarray, classes: int) -> None:
    if images.ndim != 4:
        raise ValueError(
            "Images are an array of (images, height, width, channels); those of the split "
            f"{name!r} have the shape {images.shape}. A gray image has one channel: "
            "`images[..., None]`."
        )
    if labels.shape != images.shape[:1]:
        raise ValueError(
            f"Each image needs one label: the split {name!r} has {len(images)} images, and labels "
            f"of the shape {labels.shape}."
        )
    if not np.issubdtype(images.dtype, np.integer) or not np.issubdtype(labels.dtype, np.integer):
        raise ValueError(
            f"Images and labels are whole numbers; those of the split {name!r} are {images.dtype} "
            f"and {labels.dtype}."
        )
    if len(labels) and not 0 <= labels.min() <= labels.max() < classes:
        raise ValueError(
            f"Labels of {classes} classes are from 0 to {classes - 1}; those of the split {name!r} "
            f"are from {labels.min()} to {labels.max()}."
        )
