"""Chooses the images of a set for training, and those for validation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

TRAIN = "train"
HELD_OUT = ("validation", "val", "test")  # the first of these that a set has


@dataclass(frozen=True)
class Part:
    """A range of the images of a split.

    Attributes:
        split: Name of the split.
        start: Index of the first image.
        stop: Index after that of the last image.
    """

    split: str
    start: int
    stop: int


def parts(
    sizes: Mapping[str, int], splits: Any, validation_fraction: float, name: str
) -> tuple[Part, Part]:
    """Returns the parts of a set for training and for validation.

    Args:
        sizes: The number of images in each split of the set.
        splits: The two parts in the notation of tensorflow-datasets, for example `("train[:80%]",
            "test")`. With `None`, the network is trained on the training split. It is validated
            with the set's own validation or test split, or, if there is none, with images from
            the end of the training split.
        validation_fraction: The fraction of the training split to hold out in the last case.
        name: Name of the set, for messages.

    Raises:
        ValueError: If a split does not exist, a part is empty, or the two parts overlap.
    """
    if splits is None:
        chosen = _default(sizes, validation_fraction, name)
    else:
        chosen = _given(sizes, splits, name)
    for part, use in zip(chosen, ("train on", "validate with"), strict=True):
        if part.stop <= part.start:
            raise ValueError(
                f"There is no image to {use}: received a part of the split {part.split!r} of "
                f"{name!r} that contains none of its {sizes[part.split]} images."
            )
    return chosen


def _default(sizes: Mapping[str, int], fraction: float, name: str) -> tuple[Part, Part]:
    if TRAIN not in sizes:
        raise ValueError(
            f"Received the set {name!r}, which has no split {TRAIN!r}, only: {', '.join(sizes)}. "
            "Pass the two parts to use, for example `splits=('a[:80%]', 'a[80%:]')` for a split "
            "'a'."
        )
    whole = Part(TRAIN, 0, sizes[TRAIN])
    held_out = next((split for split in HELD_OUT if split in sizes), None)
    if held_out is not None:
        return whole, Part(held_out, 0, sizes[held_out])
    first_held_out = round(whole.stop * (1 - fraction))
    return Part(TRAIN, 0, first_held_out), Part(TRAIN, first_held_out, whole.stop)


def _given(sizes: Mapping[str, int], splits: Any, name: str) -> tuple[Part, Part]:
    if (
        isinstance(splits, str)
        or not isinstance(splits, Sequence)
        or len(splits) != 2
        or not all(isinstance(each, str) for each in splits)
    ):
        raise ValueError(
            "`splits` must name two parts of the set, one for training and one for validation, for "
            f"example ('train[:80%]', 'train[80%:]'); received {splits!r}."
        )
    train, validation = (_parsed(sizes, text, name) for text in splits)
    common = min(train.stop, validation.stop) - max(train.start, validation.start)
    if train.split == validation.split and common > 0:
        raise ValueError(
            f"The parts for training and for validation must not overlap; received "
            f"{tuple(splits)}, which have {common} images in common."
        )
    return train, validation


def _parsed(sizes: Mapping[str, int], text: str, name: str) -> Part:
    import tensorflow_datasets as tfds

    # tensorflow-datasets uses only the names and sizes of these.
    infos = {
        split: tfds.core.SplitInfo(name=split, shard_lengths=[size], num_bytes=0)
        for split, size in sizes.items()
    }
    try:
        instruction = tfds.core.ReadInstruction.from_spec(text)
        (found,) = instruction.to_absolute(infos)
        if instruction.unit == "shard":
            raise ValueError("Shards are files of tensorflow-datasets; other sets have none.")
    except (AssertionError, ValueError) as error:
        known = ", ".join(f"{split!r} ({size} images)" for split, size in sizes.items())
        raise ValueError(
            f"A part must be a split, or a slice of a split in images or percent, for example "
            f"'train[:80%]'; received {text!r}, but {name!r} has no part {text!r}. Its splits are: "
            f"{known}."
        ) from error
    stop = sizes[found.splitname] if found.to is None else found.to
    return Part(found.splitname, found.from_ or 0, stop)
