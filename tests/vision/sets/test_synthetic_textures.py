"""What tells the class of a texture, found without the code that drew it."""

from __future__ import annotations

import numpy as np
import pytest

from keras_lcb.vision.sets.synthetic_textures import synthetic_textures


def gray(**arguments) -> tuple[np.ndarray, np.ndarray]:
    images, labels = synthetic_textures(**arguments).splits["train"]
    return images[..., 0] / 127.5 - 1, labels


def spectrum(images: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Mean power, length and direction (0 to π) of each wave vector."""
    size = images.shape[-1]
    power = (abs(np.fft.fft2(images - images.mean())) ** 2).mean(axis=0)
    rows, columns = np.meshgrid(*[np.fft.fftfreq(size, 1 / size)] * 2, indexing="ij")
    return power, np.hypot(rows, columns), np.arctan2(rows, columns) % np.pi


def test_power_is_at_the_two_frequencies():
    images, _ = gray(images=400, noise=0, classes=2)
    power, length, _ = spectrum(images)
    share = {f: power[np.isclose(length, f)].sum() / power.sum() for f in (2, 8)}
    # Power goes with the square of the amplitudes, 0.5 and 0.25; pixels are rounded.
    assert share[2] == pytest.approx(0.8, abs=0.01)
    assert share[8] == pytest.approx(0.2, abs=0.01)


@pytest.mark.parametrize("pattern, other, frequency", [("low", "high", 2), ("high", "low", 8)])
def test_the_class_is_the_direction_of_the_pattern_that_tells_it(pattern, other, frequency):
    for label in range(4):
        images, labels = gray(pattern=pattern, images=400, noise=0)
        power, length, direction = spectrum(images[labels == label])
        band = abs(length - frequency) < 1.5
        turned = np.exp(2j * (direction - np.pi * label / 4))
        # Waves along a diagonal do not close at the edges, so that some power is elsewhere.
        assert (power[band] * turned[band]).sum().real / power[band].sum() > 0.6
    # The other grating's directions are spread evenly in each class.
    _, of_other = gray(pattern=other, images=400, noise=0)
    table = np.histogram2d(labels, of_other, bins=4)[0]
    assert table.min() > 10


def test_images_do_not_depend_on_the_pattern_but_on_the_seed():
    low, labels = gray(pattern="low")
    high, others = gray(pattern="high")
    np.testing.assert_array_equal(low, high)
    assert not np.array_equal(labels, others)
    np.testing.assert_array_equal(gray()[0], low)
    assert not np.array_equal(gray(texture_seed=1)[0], low)
    assert low.shape == (2000, 32, 32)
    assert np.bincount(labels).min() > 400


def test_labels_of_the_low_pattern_vary_more_slowly_over_images():
    """By the Gaussian-kernel method of Xu et al.: the share of the labels that a filter leaves."""

    def slow_share(pattern: str) -> float:
        images, labels = gray(pattern=pattern, images=600)
        flat = images.reshape(len(images), -1)
        squares = (flat**2).sum(axis=1)
        distances = squares[:, None] + squares - 2 * flat @ flat.T
        kernel = np.exp(-distances / (2 * np.median(distances) / 10))
        targets = np.eye(4)[labels] - 0.25
        smooth = (kernel / kernel.sum(axis=1, keepdims=True)) @ targets
        return (smooth**2).sum() / (targets**2).sum()

    assert slow_share("low") > 2 * slow_share("high")


def test_noise_has_the_size_that_is_asked_for():
    images, _ = gray(images=50, amplitudes=(0, 0), noise=0.2)
    assert images.std() == pytest.approx(0.2, rel=0.01)


@pytest.mark.parametrize(
    "wrong, message",
    [
        ({"pattern": "middle"}, '"low" or "high".*received \'middle\''),
        ({"images": 1}, "images"),
        ({"classes": 1}, "classes"),
        ({"size": 2}, "size"),
        ({"frequencies": (8, 2)}, "first the lower one"),
        ({"frequencies": (2, 16)}, "below half of the 32 pixels"),
        ({"frequencies": (0, 8)}, "above 0"),
        ({"frequencies": (2,)}, "two numbers"),
        ({"frequencies": 3}, "two numbers"),
        ({"amplitudes": 0.5}, "two numbers, 0 or more"),
        ({"amplitudes": (0.5,)}, "two numbers, 0 or more"),
        ({"amplitudes": (0.5, -1)}, "two numbers, 0 or more"),
        ({"amplitudes": (np.nan, 0.1)}, "two numbers, 0 or more"),
        ({"amplitudes": ("a", "b")}, "two numbers, 0 or more"),
        ({"frequencies": ("a", "b")}, "two numbers"),
        ({"noise": -0.1}, "standard deviation"),
        ({"noise": np.nan}, "standard deviation"),
        ({"noise": "a"}, "standard deviation"),
        ({"texture_seed": -1}, "texture_seed"),
    ],
)
def test_arguments_out_of_range_are_named(wrong, message):
    with pytest.raises(ValueError, match=message):
        synthetic_textures(**wrong)
