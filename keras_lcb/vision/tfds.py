"""The image classification sets of tensorflow-datasets."""

from __future__ import annotations

import difflib
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import tensorflow as tf
import tensorflow_datasets as tfds

from keras_lcb.vision.splits import Part

CHECKED = 32  # how many labels at the beginning of each part are checked


class TfdsImages:
    """A set of tensorflow-datasets, which is downloaded if it is not there.

    Args:
        name: Its name in tensorflow-datasets, optionally with a config or version.
        data_dir: The folder in which tensorflow-datasets stores its sets; `None` for its default.
        others: Names of other sets, to suggest if the name is unknown.
        **arguments: Other arguments of `tensorflow_datasets.builder`.

    Attributes:
        sizes: The number of images in each split.
        classes: Number of classes.
        maximum: The pixel value that will be scaled to 1.

    Raises:
        ValueError: If the set is unknown, has no labelled images, or cannot be downloaded.
    """

    def __init__(self, name: str, data_dir: str | None, others: Sequence[str], **arguments: Any):
        self._builder = _builder(name, data_dir, others, arguments)
        self._name = name
        image, label = _supervised_features(self._builder)
        pixels = np.dtype(image.np_dtype)
        if not np.issubdtype(pixels, np.integer):
            raise ValueError(
                f"Pixels must be whole numbers, whose largest value is scaled to 1; received "
                f"{name!r}, whose pixels are {pixels}."
            )
        if label.num_classes is None:
            raise ValueError(
                f"Received {name!r}, which does not say how many classes it has. Use another set."
            )
        _prepare(self._builder, name)
        splits = self._builder.info.splits
        self.sizes = {split: info.num_examples for split, info in splits.items()}
        self.classes: int = label.num_classes
        self.maximum = int(np.iinfo(pixels).max)

    def read(self, part: Part) -> tf.data.Dataset:
        """Returns the images and labels of a part, one by one, in their order.

        Raises:
            ValueError: If the part has no labels.
        """
        split = tfds.core.ReadInstruction(part.split, part.start, part.stop, unit="abs")
        images = self._builder.as_dataset(split=split, as_supervised=True)
        for _, label in images.take(CHECKED):
            if not 0 <= int(label) < self.classes:
                raise ValueError(
                    f"The split {part.split!r} of {self._name!r} has no labels: received the label "
                    f"{int(label)}, where {self.classes} classes are expected. Use other `splits`."
                )
        return images


def _builder(
    name: str, data_dir: str | None, others: Sequence[str], arguments: dict[str, Any]
) -> Any:
    try:
        return tfds.builder(name, data_dir=data_dir, **arguments)
    except tfds.core.DatasetNotFoundError:
        known = [*others, *tfds.list_builders(with_community_datasets=False)]
        near = difflib.get_close_matches(name, known) or [*others, "mnist", "cifar10"]
        hint = f" The folder of that name is './{name}'." if os.path.isdir(name) else ""
        raise ValueError(
            f"There is no data set {name!r}. Did you mean {' or '.join(map(repr, near))}?{hint}"
        ) from None
    except (AssertionError, ImportError, ValueError) as error:
        # An unknown version or config, an invalid name, or a missing package that the set needs.
        raise ValueError(f"tensorflow-datasets cannot open a data set {name!r}: {error}") from error


def _supervised_features(builder: Any) -> tuple[Any, Any]:
    features, keys = builder.info.features, builder.info.supervised_keys
    if keys is not None and len(keys) == 2 and all(isinstance(key, str) for key in keys):
        image, label = (features[key] for key in keys)
        if isinstance(image, tfds.features.Image) and isinstance(label, tfds.features.ClassLabel):
            return image, label
    raise ValueError(
        f"The set must hold images with one class label each; received {builder.name!r}, which is "
        f"no image classification set: it has {', '.join(features)}."
    )


def _prepare(builder: Any, name: str) -> None:
    if builder.is_prepared():
        return
    try:
        with _few_retries():
            builder.download_and_prepare()
    except Exception as error:  # downloads of different sets raise different exceptions
        reason = f"{type(error).__name__}: {error}".splitlines()[0]
        raise ValueError(
            f"The set {name!r} is not prepared (the folder {builder.data_path} is missing), and "
            f"its download failed ({reason}). Connect to the network, or copy the folder from a "
            f"machine on which `tensorflow_datasets.load({name!r})` has run."
        ) from error


@contextmanager
def _few_retries() -> Iterator[None]:
    """Limits the retries of a download, so that without a network it fails within seconds.

    By default, tensorflow-datasets retries for more than 3 minutes.
    """
    from tensorflow_datasets.core.download import downloader

    before = downloader.MAX_RETRIES
    downloader.MAX_RETRIES = 4
    try:
        yield
    finally:
        downloader.MAX_RETRIES = before
