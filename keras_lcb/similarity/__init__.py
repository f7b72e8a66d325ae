"""How similar the activations of layers on given samples are: Gram matrices and linear CKA."""

from keras_lcb.similarity.cka import cka, hsic_vector
from keras_lcb.similarity.grams import GramReader
from keras_lcb.similarity.read_layers import read_layers

__all__ = ["GramReader", "cka", "hsic_vector", "read_layers"]
