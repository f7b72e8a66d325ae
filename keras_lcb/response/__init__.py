"""Measures how much of a function of images (or other points) varies fast, by a Gaussian filter."""

from keras_lcb.response.gaussian_filter import GaussianFilter
from keras_lcb.response.targets import as_functions

__all__ = ["GaussianFilter", "as_functions"]
