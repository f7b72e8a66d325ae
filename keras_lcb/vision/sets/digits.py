"""1,797 handwritten digits of 8x8 pixels, which are part of scikit-learn."""

from __future__ import annotations

from keras_lcb.vision.stored import StoredImages


def digits() -> StoredImages:
    """Returns the digits in scikit-learn's order, with pixels from 0 to 16."""
    from sklearn.datasets import load_digits

    data = load_digits()
    images = data.images.astype("uint8")[..., None]
    labels = data.target.astype("int64")
    return StoredImages({"train": (images, labels)}, classes=len(data.target_names), maximum=16)
