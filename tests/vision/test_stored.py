from __future__ import annotations

import numpy as np
import pytest

from keras_lcb.vision.splits import Part
from keras_lcb.vision.stored import StoredImages

IMAGES, LABELS = np.arange(5 * 2 * 2, dtype=np.uint8).reshape(5, 2, 2, 1), np.arange(5) % 3


def test_a_part_is_read_in_order():
    stored = StoredImages({"train": (IMAGES, LABELS), "test": (IMAGES, LABELS)}, 3, 255)
    read = list(stored.read(Part("test", 1, 3)).as_numpy_iterator())
    assert stored.sizes == {"train": 5, "test": 5}
    np.testing.assert_array_equal([image for image, _ in read], IMAGES[1:3])
    assert [label for _, label in read] == [1, 2]


@pytest.mark.parametrize(
    "images, labels, message",
    [
        (IMAGES[..., 0], LABELS, r"shape \(5, 2, 2\) for the split 'train'.*images\[..., None\]"),
        (IMAGES, LABELS[:4], r"5 images, and labels of the shape \(4,\), for the split 'train'"),
        (IMAGES, LABELS[:, None], r"labels of the shape \(5, 1\)"),
        (IMAGES / 255, LABELS, "whole numbers.*float64 and int64"),
        (IMAGES, LABELS / 1.0, "whole numbers.*uint8 and float64"),
        (IMAGES, LABELS + 1, "from 0 to 2.*from 1 to 3"),
        (IMAGES, LABELS - 1, "from 0 to 2.*from -1 to 1"),
    ],
)
def test_images_and_labels_of_another_form_are_refused(images, labels, message):
    with pytest.raises(ValueError, match=message):
        StoredImages({"train": (images, labels)}, classes=3, maximum=255)
