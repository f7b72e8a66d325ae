from __future__ import annotations

import socket

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_datasets as tfds

from keras_lcb import vision

# Written by TFDS into a temporary folder below; registered by being defined.
SPLITS = {"train": 40, "test": 12}


def _image(split: str, index: int) -> np.ndarray:
    seed = index if split == "train" else 1_000 + index
    return np.random.default_rng(seed).integers(0, 256, (6, 5, 3), dtype=np.uint8)


class LcbTiles(tfds.core.GeneratorBasedBuilder):
    """Noise images in three classes, with a test split."""

    VERSION = tfds.core.Version("1.0.0")
    splits = SPLITS

    def _info(self):
        image = tfds.features.Image(shape=(6, 5, 3))
        label = tfds.features.ClassLabel(names=["a", "b", "c"])
        return self.dataset_info_from_configs(
            features=tfds.features.FeaturesDict({"image": image, "label": label}),
            supervised_keys=("image", "label"),
        )

    def _split_generators(self, dl_manager):
        return {split: self._generate_examples(split) for split in self.splits}

    def _generate_examples(self, split):
        for index in range(self.splits[split]):
            yield index, {"image": _image(split, index), "label": index % 3}


class LcbOneSplit(LcbTiles):
    """The same without a test split."""

    VERSION = tfds.core.Version("1.0.0")
    splits = {"train": 40}


class LcbUneven(LcbOneSplit):
    """Images of different sizes."""

    VERSION = tfds.core.Version("1.0.0")

    def _info(self):
        image = tfds.features.Image(shape=(None, None, 1))
        label = tfds.features.ClassLabel(num_classes=2)
        return self.dataset_info_from_configs(
            features=tfds.features.FeaturesDict({"image": image, "label": label}),
            supervised_keys=("image", "label"),
        )

    def _generate_examples(self, split):
        for index in range(6):
            shade = np.full((4 + index, 5, 1), 40 * index, np.uint8)
            yield index, {"image": shade, "label": index % 2}


class LcbHidden(LcbTiles):
    """A test split that keeps its labels to itself."""

    VERSION = tfds.core.Version("1.0.0")

    def _generate_examples(self, split):
        for index, example in super()._generate_examples(split):
            yield index, example | ({"label": -1} if split == "test" else {})


class LcbUncounted(LcbOneSplit):
    """Labels of an unknown number of classes."""

    VERSION = tfds.core.Version("1.0.0")

    def _info(self):
        image = tfds.features.Image(shape=(6, 5, 3))
        return self.dataset_info_from_configs(
            features=tfds.features.FeaturesDict(
                {"image": image, "label": tfds.features.ClassLabel()}
            ),
            supervised_keys=("image", "label"),
        )


class LcbFloats(LcbOneSplit):
    """Pixels that are no whole numbers."""

    VERSION = tfds.core.Version("1.0.0")

    def _info(self):
        image = tfds.features.Image(shape=(6, 5, 1), dtype=np.float32)
        label = tfds.features.ClassLabel(num_classes=3)
        return self.dataset_info_from_configs(
            features=tfds.features.FeaturesDict({"image": image, "label": label}),
            supervised_keys=("image", "label"),
        )


class LcbWords(LcbOneSplit):
    """No images at all."""

    VERSION = tfds.core.Version("1.0.0")

    def _info(self):
        return self.dataset_info_from_configs(
            features=tfds.features.FeaturesDict({"word": tfds.features.Text()})
        )


class LcbFar(LcbOneSplit):
    """A set that has to be fetched first."""

    VERSION = tfds.core.Version("1.0.0")

    def _split_generators(self, dl_manager):
        return {"train": self._generate_examples(dl_manager.download("http://nowhere.invalid/x"))}


@pytest.fixture(autouse=True)
def no_network(monkeypatch):
    def refuse(host, *args, **kwargs):
        raise socket.gaierror(f"no network in tests: {host}")

    monkeypatch.setattr(socket, "getaddrinfo", refuse)


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tfds")
    for builder in (LcbTiles, LcbOneSplit, LcbUneven, LcbHidden):
        builder(data_dir=folder).download_and_prepare()
    return str(folder)


def _in_any_order(images) -> np.ndarray:
    rows = np.concatenate([batch.numpy() for batch, _ in images])
    rows = rows.reshape(len(rows), -1)
    return rows[np.lexsort(rows.T)]


def test_a_tfds_set_comes_back_as_it_was_written(data_dir):
    train, validation = data = vision.load("lcb_tiles", data_dir, batch_size=16)
    assert (data.shape, data.classes, data.maximum) == ((6, 5, 3), 3, 255)
    for split, images in (("train", train), ("test", validation)):
        written = np.stack([_image(split, index) for index in range(SPLITS[split])])
        expected = written.reshape(len(written), -1).astype("float32") / 255
        np.testing.assert_allclose(
            _in_any_order(images), expected[np.lexsort(expected.T)], rtol=1e-6
        )
    assert next(iter(train))[0].dtype == tf.float32


def test_a_set_is_read_without_the_code_that_wrote_it(data_dir, tmp_path):
    copy = tmp_path / "copied_tiles" / "1.0.0"
    copy.mkdir(parents=True)
    for file in tf.io.gfile.glob(f"{data_dir}/lcb_tiles/1.0.0/*"):
        name = file.rsplit("/", 1)[1].replace("lcb_tiles", "copied_tiles")
        (copy / name).write_bytes(
            open(file, "rb").read().replace(b'"lcb_tiles"', b'"copied_tiles"')
        )
    data = vision.load("copied_tiles", str(tmp_path))
    assert (data.shape, data.classes) == ((6, 5, 3), 3)
    assert len(_in_any_order(data.train)) == 40


def test_images_are_held_out_where_the_set_holds_none_out(data_dir):
    train, validation = vision.load("lcb_one_split", data_dir, validation_fraction=0.25)
    assert len(_in_any_order(train)) == 30
    assert len(_in_any_order(validation)) == 10


def test_uneven_images_need_a_size(data_dir):
    with pytest.raises(ValueError, match="differ in size.*image_size"):
        vision.load("lcb_uneven", data_dir)
    data = vision.load("lcb_uneven", data_dir, image_size=(8, 7), validation_fraction=0.5)
    assert data.shape == (8, 7, 1)
    images = np.concatenate([batch.numpy() for part in data for batch, _ in part])
    shades = sorted(np.unique(np.round(images * 255)))
    assert shades == [0, 40, 80, 120, 160, 200]


def test_an_unknown_name_gets_the_nearest():
    with pytest.raises(ValueError, match="no data set 'cifar_10'.*'cifar10'"):
        vision.load("cifar_10")
    with pytest.raises(ValueError, match="no data set 'digit'.*'digits'"):
        vision.load("digit")
    with pytest.raises(ValueError, match="cannot open a data set 'mnist:9.9.9'"):
        vision.load("mnist:9.9.9")


def test_a_set_without_images_is_refused(data_dir):
    with pytest.raises(
        ValueError, match="received 'lcb_words', which is no image classification set.*word"
    ):
        vision.load("lcb_words", data_dir)


@pytest.mark.parametrize(
    "name, message",
    [
        ("lcb_uncounted", "'lcb_uncounted', which does not say how many classes"),
        ("lcb_floats", "'lcb_floats', whose pixels are float32"),
    ],
)
def test_what_cannot_be_classified_or_scaled_is_refused(data_dir, name, message):
    with pytest.raises(ValueError, match=message):
        vision.load(name, data_dir)


def test_a_split_without_labels_is_refused(data_dir):
    with pytest.raises(ValueError, match=r"split 'test' of 'lcb_hidden' has no labels.*-1"):
        vision.load("lcb_hidden", data_dir)
    splits = ("train[:50%]", "train[50%:]")
    assert vision.load("lcb_hidden", data_dir, splits=splits).classes == 3


def test_splits_are_those_that_are_asked_for(data_dir):
    train, validation = vision.load("lcb_tiles", data_dir, splits=("test", "train[-5:]"))
    written = {
        split: np.stack([_image(split, i) for i in range(SPLITS[split])]) for split in SPLITS
    }
    assert len(_in_any_order(train)) == 12
    # The order in which TFDS stores them is its own: the five are some of the forty, each once.
    held_out = np.rint(_in_any_order(validation) * 255).astype(np.uint8)
    all_of_them = {image.tobytes() for image in written["train"].reshape(40, -1)}
    assert len({image.tobytes() for image in held_out} & all_of_them) == len(held_out) == 5
    with pytest.raises(ValueError, match=r"'lcb_tiles' has no part 'dev'.*'train' \(40 images\)"):
        vision.load("lcb_tiles", data_dir, splits=("train", "dev"))


def test_a_small_share_is_held_out_exactly(data_dir):
    train, validation = vision.load("lcb_one_split", data_dir, validation_fraction=0.025)
    assert (len(_in_any_order(train)), len(_in_any_order(validation))) == (39, 1)
    with pytest.raises(ValueError, match="no image to validate with"):
        vision.load("lcb_one_split", data_dir, validation_fraction=0.004)


def test_a_folder_of_that_name_is_pointed_to(tmp_path, monkeypatch):
    (tmp_path / "my_flowers").mkdir()
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ValueError, match="no data set 'my_flowers'.*'./my_flowers'"):
        vision.load("my_flowers")


def test_neither_prepared_nor_reachable_is_said_within_seconds(tmp_path):
    with pytest.raises(
        ValueError, match="'lcb_far' is not prepared.*its download failed"
    ) as caught:
        vision.load("lcb_far", str(tmp_path))
    assert "\n" not in str(caught.value)
