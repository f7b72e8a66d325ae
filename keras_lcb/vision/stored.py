"""The labelled images of a set, in memory."""

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
        splits: A dict from the name of each split to a pair: the images, whole numbers of shape
            (images, height, width, channels), and the labels, (images,), from 0 to `classes - 1`.
            Images for validation may be taken from the end of a split. So the images must be in an
            order in which every part of the split holds all classes.
        classes: Number of classes.
        maximum: The pixel value that will be scaled to 1.

    Raises:
        ValueError: If images or labels have another shape, type or range.
    """

    splits: Mapping[str, tuple[np.ndarray, np.ndarray]]
    classes: int
    maximum: int

    def __post_init__(self) -> None:
        for name, (images, labels) in self.splits.items():
            _check(name, images, labels, self.classes)

    @property
    def sizes(self) -> dict[str, int]:
        """Returns the number of images in each split."""
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
            "Images must be an array of (images, height, width, channels); received the shape "
            f"{images.shape} for the split {name!r}. For gray images, add the axis of the channels "
            "with `images[..., None]`."
        )
    if labels.shape != images.shape[:1]:
        raise ValueError(
            f"Each image must have one label; received {len(images)} images, and labels of the "
            f"shape {labels.shape}, for the split {name!r}."
        )
    if not np.issubdtype(images.dtype, np.integer) or not np.issubdtype(labels.dtype, np.integer):
        raise ValueError(
            f"Images and labels must be whole numbers; received {images.dtype} and {labels.dtype} "
            f"for the split {name!r}."
        )
    if len(labels) and not 0 <= labels.min() <= labels.max() < classes:
        raise ValueError(
            f"Labels of {classes} classes must be from 0 to {classes - 1}; received labels from "
            f"{labels.min()} to {labels.max()} for the split {name!r}."
        )
