"""Textures whose class shows in a pattern of known frequency."""

from __future__ import annotations

import math
from collections.abc import Sequence
from numbers import Real
from typing import Any

import numpy as np

from keras_lcb.config import whole_number
from keras_lcb.vision.stored import StoredImages

PATTERNS = ("low", "high")


def synthetic_textures(
    pattern: str = "low",
    *,
    images: int = 2000,
    size: int = 32,
    classes: int = 4,
    frequencies: Sequence[float] = (2, 8),
    amplitudes: Sequence[float] = (0.5, 0.25),
    noise: float = 0.1,
    texture_seed: int = 0,
) -> StoredImages:
    """Returns gray images, each the sum of a low-frequency grating, a high-frequency one and noise.

    Each grating has one of `classes` directions, evenly spread over half a turn, and a random
    phase. Direction and phase of the two gratings are independent. The class of an image is the
    direction of the grating that `pattern` names; the other grating contains no information about
    it. With the same seed, the images are the same for both patterns, and only the labels differ.
    So a difference between trainings on the two is due to the frequency that shows the class.

    With the default amplitudes, the distance between two images depends mostly on the low-frequency
    grating. So the label as a function of the image varies slowly for `"low"`, and fast for
    `"high"`. This also holds for frequencies as the Gaussian-kernel method defines them.

    Args:
        pattern: The grating that determines the class, `"low"` or `"high"`. Defaults to `"low"`.
        images: Number of images. Defaults to 2000.
        size: Height and width in pixels. Defaults to 32.
        classes: Number of directions. Defaults to 4.
        frequencies: Frequencies of the low and of the high grating, as the number of waves across
            the image in the direction in which the grating varies; below half of `size`. Defaults
            to (2, 8).
        amplitudes: Amplitudes of the low and of the high grating. A grating of amplitude 1 ranges
            from black to white. Defaults to (0.5, 0.25).
        noise: Standard deviation of the noise of each pixel, in the units of the amplitudes. Gray
            values beyond black and white are clipped. Defaults to 0.1.
        texture_seed: Seed of everything random in the images. (The `seed` of `vision.load` only
            changes their order.) Defaults to 0.

    Returns:
        The images and their labels, as `StoredImages` with one split, `"train"`.

    Raises:
        ValueError: If an argument is out of its range.

    Example:
        >>> low, high = (synthetic_textures(name, images=10) for name in ("low", "high"))
        >>> bool((low.splits["train"][0] == high.splits["train"][0]).all())
        True
    """
    _check(pattern, images, size, classes, frequencies, amplitudes, noise, texture_seed)
    random = np.random.default_rng(texture_seed)
    directions = random.integers(classes, size=(images, 2))
    phases = random.uniform(0, 2 * np.pi, size=(images, 2))
    gray = noise * random.standard_normal((images, size, size))
    for grating, (frequency, amplitude) in enumerate(zip(frequencies, amplitudes, strict=True)):
        angles = np.pi * directions[:, grating] / classes
        gray += amplitude * _gratings(size, frequency, angles, phases[:, grating])
    pixels = np.rint(127.5 * (1 + gray)).clip(0, 255).astype("uint8")
    labels = directions[:, PATTERNS.index(pattern)]
    return StoredImages({"train": (pixels[..., None], labels)}, classes, maximum=255)


def _gratings(size: int, frequency: float, angles: np.ndarray, phases: np.ndarray) -> np.ndarray:
    """Returns a plane wave for each angle and phase: (waves, size, size), from -1 to 1."""
    place = np.arange(size) / size
    rows, columns = place[None, :, None], place[None, None, :]
    angles, phases = angles[:, None, None], phases[:, None, None]
    along = columns * np.cos(angles) + rows * np.sin(angles)
    return np.cos(2 * np.pi * frequency * along + phases)


def _check(
    pattern: str,
    images: int,
    size: int,
    classes: int,
    frequencies: Sequence[float],
    amplitudes: Sequence[float],
    noise: float,
    texture_seed: int,
) -> None:
    if pattern not in PATTERNS:
        raise ValueError(
            f'`pattern` must be "low" or "high", the grating that determines the class; received '
            f"{pattern!r}."
        )
    for name, number, least in (
        ("images", images, 2),
        ("size", size, 4),
        ("classes", classes, 2),
        ("texture_seed", texture_seed, 0),
    ):
        whole_number(name, number, least)
    if not _are_numbers(frequencies, 2) or not 0 < frequencies[0] < frequencies[1] < size / 2:
        raise ValueError(
            "`frequencies` must be two numbers of waves across the image, first the lower one, "
            f"above 0 and below half of the {size} pixels; received {frequencies}."
        )
    if not _are_numbers(amplitudes, 2) or min(amplitudes) < 0:
        raise ValueError(f"`amplitudes` must be two numbers, 0 or more; received {amplitudes}.")
    if not _are_numbers([noise], 1) or noise < 0:
        raise ValueError(f"`noise` must be a standard deviation, 0 or more; received {noise}.")


def _are_numbers(values: Any, count: int) -> bool:
    """Returns whether the values are so many finite numbers."""
    if np.shape(values) != (count,):
        return False
    return all(isinstance(each, Real) and math.isfinite(each) for each in values)
