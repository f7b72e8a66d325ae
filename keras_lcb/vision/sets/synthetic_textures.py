"""Textures whose class is told by a pattern of known frequency."""

from __future__ import annotations

from collections.abc import Sequence

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
    """Returns gray images that are a low- plus a high-frequency grating plus noise.

    Each grating has one of `classes` directions, evenly spread over half a turn, and a random
    phase, both drawn independently of the other grating's. The class of an image is the direction
    of the grating that `pattern` names; the other one tells nothing of it. With the same seed the
    images are the same for both patterns, and only the labels differ: whatever differs between two
    trainings on them comes from the frequency that tells the class.

    With the default amplitudes the low-frequency grating also makes up most of the distance
    between images. So the classes of `"low"` are a function of the image that varies slowly, and
    those of `"high"` one that varies fast, in the sense of the Gaussian-kernel method too.

    Args:
        pattern: The grating that tells the class, `"low"` or `"high"`.
        images: How many.
        size: Height and width in pixels.
        classes: Number of directions.
        frequencies: Of the low and of the high grating, in waves across the image along the
            direction in which it varies; below half of `size`.
        amplitudes: Of the low and of the high grating; 1 would take it from black to white.
        noise: Standard deviation of the noise of each pixel, in the same units. Gray values
            beyond black and white are cut off.
        texture_seed: Seed of all that is drawn. The `seed` of `vision.load` only orders them.

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
            f'`pattern` is the grating that tells the class, "low" or "high"; received {pattern!r}.'
        )
    for name, number, least in (
        ("images", images, 2),
        ("size", size, 4),
        ("classes", classes, 2),
        ("texture_seed", texture_seed, 0),
    ):
        whole_number(name, number, least)
    if len(frequencies) != 2 or not 0 < frequencies[0] < frequencies[1] < size / 2:
        raise ValueError(
            "`frequencies` are two numbers of waves across the image, first the lower one, above 0 "
            f"and below half of the {size} pixels; received {frequencies}."
        )
    if len(amplitudes) != 2 or min(amplitudes) < 0:
        raise ValueError(f"`amplitudes` are two numbers from 0 on; received {amplitudes}.")
    if noise < 0:
        raise ValueError(f"`noise` is a standard deviation, 0 or more; received {noise}.")
