"""Which images of a set are trained on, and which are held out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

TRAIN = "train"
HELD_OUT = ("validation", "val", "test")  # the first of these that a set has


@dataclass(frozen=True)
class Part:
    """Images of a split, one after the other.

    Attributes:
        split: Name of the split.
        start: Number of the first image.
        stop: Number after that of the last one.
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
        splits: The two parts as tensorflow-datasets writes them, such as `("train[:80%]",
            "test")`; `None` for the training split and the one that the set holds out, or the end
            of the training split if it holds none out.
        validation_fraction: The share that is held out in that last case.
        name: The set, for messages.

    Raises:
        ValueError: If there is no such split, a part is empty, or the two have images in common.
    """
    if splits is None:
        chosen = _default(sizes, validation_fraction, name)
    else:
        chosen = _given(sizes, splits, name)
    for part, use in zip(chosen, ("train on", "validate with"), strict=True):
        if part.stop <= part.start:
            raise ValueError(
                f"There is no image to {use}: the split {part.split!r} of {name!r} has "
                f"{sizes[part.split]} images, of which none was chosen."
            )
    return chosen


def _default(sizes: Mapping[str, int], fraction: float, name: str) -> tuple[Part, Part]:
    if TRAIN not in sizes:
        raise ValueError(
            f"{name!r} has no split {TRAIN!r}, only: {', '.join(sizes)}. Say which two to take, "
            "for example `splits=('a[:80%]', 'a[80%:]')` for a split 'a'."
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
            "`splits` names two parts of the set, one to train on and one to validate with, such "
            f"as ('train[:80%]', 'train[80%:]'); received {splits!r}."
        )
    train, validation = (_parsed(sizes, text, name) for text in splits)
    common = min(train.stop, validation.stop) - max(train.start, validation.start)
    if train.split == validation.split and common > 0:
        raise ValueError(
            f"`splits` {tuple(splits)} have {common} images in common, so that validation would "
            "test what was trained on."
        )
    return train, validation


def _parsed(sizes: Mapping[str, int], text: str, name: str) -> Part:
    import tensorflow_datasets as tfds

    # Only names and sizes are read of these.
    infos = {
        split: tfds.core.SplitInfo(name=split, shard_lengths=[size], num_bytes=0)
        for split, size in sizes.items()
    }
    try:
        instruction = tfds.core.ReadInstruction.from_spec(text)
        (found,) = instruction.to_absolute(infos)
        if instruction.unit == "shard":
            raise ValueError("Shards are files of tensorflow-datasets, which other sets lack.")
    except (AssertionError, ValueError) as error:
        told = ", ".join(f"{split!r} ({size} images)" for split, size in sizes.items())
        raise ValueError(
            f"{name!r} has no part {text!r}. A part is a split, or a slice of one by images or by "
            f"percent, such as 'train[:80%]'; the splits are: {told}."
        ) from error
    stop = sizes[found.splitname] if found.to is None else found.to
    return Part(found.splitname, found.from_ or 0, stop)
