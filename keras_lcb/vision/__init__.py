"""Image data and small image networks, for demonstrations and experiments."""

from keras_lcb.vision.data import ImageData, load
from keras_lcb.vision.experiment import Config, run
from keras_lcb.vision.networks import build_cnn

__all__ = ["Config", "ImageData", "build_cnn", "load", "run"]
