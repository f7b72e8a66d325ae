"""Labelled images, ready for `model.fit`: the embedded digits, and the sets of TFDS."""

from __future__ import annotations

import difflib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import tensorflow as tf

DIGITS = "digits"


@dataclass(frozen=True)
class ImageData:
    """Training and validation images, and what a network has to know about them.

    Unpacks into its two `tf.data.Dataset`s: `train, validation = load("digits")`.

    Attributes:
        train: batches of (images, labels), in a new order each epoch.
        validation: batches of (images, labels), in a fixed order.
        shape: (height, width, channels) of an image.
        classes: number of classes; labels are integers from 0 to `classes - 1`.
        maximum: the stored pixel value that became 1. Images are float32, from 0 to 1.
    """

    train: tf.data.Dataset
    validation: tf.data.Dataset
    shape: tuple[int, int, int]
    classes: int
    maximum: int

    def __iter__(self) -> Iterator[tf.data.Dataset]:
        return iter((self.train, self.validation))


def load(
    name: str = DIGITS,
    data_dir: str | None = None,
    *,
    batch_size: int = 64,
    validation_fraction: float = 0.2,
    image_size: tuple[int, int] | None = None,
    seed: int = 0,
) -> ImageData:
    """Load an image classification set as two cached, batched `tf.data.Dataset`s.

    The sets fit every Keras backend. They are kept in memory from the first epoch on.

    Example:
        >>> train, validation = load("digits", batch_size=32)
        >>> images, labels = next(iter(train))
        >>> images.shape, labels.shape
        (TensorShape([32, 8, 8, 1]), TensorShape([32]))

    Args:
        name: `"digits"` (1,797 handwritten digits of 8x8 pixels, inside scikit-learn), or any
            image classification set of tensorflow-datasets: `"mnist"`, `"cifar10"`, ….
        data_dir: where tensorflow-datasets keeps its sets; `~/tensorflow_datasets` by default.
            A set that is not there yet is downloaded.
        batch_size: images in a batch; the last one of an epoch may be smaller.
        validation_fraction: the share held out, taken from the end of the training images,
            where the set has no validation or test split of its own.
        image_size: (height, width) to resize to; needed where a set's images differ in size.
        seed: of the order in which the training images come.

    Returns:
        An `ImageData`, which unpacks into `train, validation`.

    Raises:
        ValueError: if the set is unknown (the nearest names are given), holds no labelled
            images, or is neither prepared in `data_dir` nor reachable.
    """
    if not 0 < validation_fraction < 1:
        raise ValueError(
            f"`validation_fraction` is a share between 0 and 1, not {validation_fraction}."
        )
    if batch_size < 1:
        raise ValueError(f"`batch_size` is at least 1, not {batch_size}.")
    read = _digits if name == DIGITS else _tensorflow_datasets
    train, validation, classes, maximum = read(name, data_dir, validation_fraction)
    if image_size is not None:
        train, validation = (_resize(images, image_size) for images in (train, validation))
    shape = train.element_spec[0].shape
    if not shape.is_fully_defined():
        raise ValueError(
            f"The images of {name!r} differ in size: "
            "say which one to give them, for example `image_size=(64, 64)`."
        )
    train = train.cache().shuffle(len(train), seed=seed)
    return ImageData(
        train=_batches(train, batch_size, maximum),
        validation=_batches(validation.cache(), batch_size, maximum),
        shape=tuple(shape),
        classes=classes,
        maximum=maximum,
    )


def _resize(images: tf.data.Dataset, size: tuple[int, int]) -> tf.data.Dataset:
    def resize(image: tf.Tensor, label: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        resized = tf.image.resize(image, size, antialias=True)
        return tf.saturate_cast(tf.round(resized), image.dtype), label

    return images.map(resize, num_parallel_calls=tf.data.AUTOTUNE)


def _batches(images: tf.data.Dataset, size: int, maximum: int) -> tf.data.Dataset:
    def scale(image: tf.Tensor, label: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        return tf.cast(image, tf.float32) / maximum, label

    # Scaled after the cache, which so holds bytes instead of floats.
    return images.batch(size).map(scale).prefetch(tf.data.AUTOTUNE)


def _digits(
    name: str, data_dir: str | None, validation_fraction: float
) -> tuple[tf.data.Dataset, tf.data.Dataset, int, int]:
    from sklearn.datasets import load_digits

    digits = load_digits()
    images = digits.images.astype("uint8")[..., None]
    labels = digits.target.astype("int64")
    first_held_out = round(len(images) * (1 - validation_fraction))
    train, validation = (
        tf.data.Dataset.from_tensor_slices((images[part], labels[part]))
        for part in (slice(first_held_out), slice(first_held_out, None))
    )
    return train, validation, len(digits.target_names), 16


def _tensorflow_datasets(
    name: str, data_dir: str | None, validation_fraction: float
) -> tuple[tf.data.Dataset, tf.data.Dataset, int, int]:
    builder = _builder(name, data_dir)
    image, label = _supervised_features(builder)
    _prepare(builder, name)
    splits = builder.info.splits
    held_out = next((split for split in ("validation", "test") if split in splits), None)
    if "train" not in splits:
        raise ValueError(f"{name!r} has no training split, only: {', '.join(splits)}.")
    kept = f"{round(100 * (1 - validation_fraction))}%"
    parts = ("train", held_out) if held_out else (f"train[:{kept}]", f"train[{kept}:]")
    train, validation = (builder.as_dataset(split=part, as_supervised=True) for part in parts)
    return train, validation, label.num_classes, tf.as_dtype(image.dtype).max


def _builder(name: str, data_dir: str | None) -> Any:
    import tensorflow_datasets as tfds

    try:
        return tfds.builder(name, data_dir=data_dir)
    except tfds.core.DatasetNotFoundError:
        known = [DIGITS, *tfds.list_builders(with_community_datasets=False)]
        near = difflib.get_close_matches(name, known) or [DIGITS, "mnist", "cifar10"]
        raise ValueError(
            f"There is no data set {name!r}. Did you mean {' or '.join(map(repr, near))}?"
        ) from None
    except (AssertionError, ImportError, ValueError) as error:
        # No such version or config, no name at all, or a package that this set needs.
        raise ValueError(f"tensorflow-datasets cannot open a data set {name!r}: {error}") from error


def _supervised_features(builder: Any) -> tuple[Any, Any]:
    import tensorflow_datasets as tfds

    features, keys = builder.info.features, builder.info.supervised_keys
    if keys is not None and len(keys) == 2 and all(isinstance(key, str) for key in keys):
        image, label = (features[key] for key in keys)
        if isinstance(image, tfds.features.Image) and isinstance(label, tfds.features.ClassLabel):
            return image, label
    raise ValueError(
        f"{builder.name!r} is no image classification set: "
        f"one image with one class label is needed, and it has {', '.join(features)}."
    )


def _prepare(builder: Any, name: str) -> None:
    if builder.is_prepared():
        return
    try:
        with _few_retries():
            builder.download_and_prepare()
    except Exception as error:  # Each set has its own download, with errors of its own kind.
        reason = f"{type(error).__name__}: {error}".splitlines()[0]
        raise ValueError(
            f"{name!r} is not prepared ({builder.data_path} is missing), and fetching it failed "
            f"({reason}). Connect to the network, or copy that folder from a machine on which "
            f"`tensorflow_datasets.load({name!r})` has run."
        ) from error


@contextmanager
def _few_retries() -> Iterator[None]:
    """Let a missing network show within seconds: by default TFDS tries for over 3 minutes."""
    from tensorflow_datasets.core.download import downloader

    before = downloader.MAX_RETRIES
    downloader.MAX_RETRIES = 4
    try:
        yield
    finally:
        downloader.MAX_RETRIES = before
