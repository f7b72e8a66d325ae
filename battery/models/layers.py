"""Each layer class of Keras that has weights, in a model of its own between two dense layers."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import keras
from keras import layers

from battery.models import Case, case, normal, whole

SAMPLES = 8


def _model(layer: Callable[[Any], Any], *shape: int, dtype: str = "float32") -> Case:
    inputs = keras.Input(shape, dtype=dtype)
    hidden = layer(inputs)
    outputs = layers.Dense(2, name="out")(layers.Flatten()(hidden))
    x = whole(7, SAMPLES, *shape) if dtype == "int32" else normal(SAMPLES, *shape)
    return Case(keras.Model(inputs, outputs), x)


def _attend(attention: Any) -> Callable[[Any], Any]:
    return lambda x: attention([x, layers.Dense(x.shape[-1])(x)])


def _sequence_of_images(layer: Any) -> tuple[Any, ...]:
    return layer, 3, 6, 6, 2


MADE: dict[str, Callable[[], Case]] = {
    "Dense": lambda: _model(layers.Dense(4, "tanh"), 5),
    "EinsumDense": lambda: _model(layers.EinsumDense("ab,bc->ac", 4, bias_axes="c"), 5),
    "Embedding": lambda: _model(layers.Embedding(7, 3), 4, dtype="int32"),
    "ReversibleEmbedding": lambda: _model(layers.ReversibleEmbedding(7, 3), 4, dtype="int32"),
    "Conv1D": lambda: _model(layers.Conv1D(3, 3, activation="tanh"), 8, 2),
    "Conv2D": lambda: _model(layers.Conv2D(3, 3, activation="tanh"), 6, 6, 2),
    "Conv3D": lambda: _model(layers.Conv3D(2, 2, activation="tanh"), 4, 4, 4, 2),
    "Conv1DTranspose": lambda: _model(layers.Conv1DTranspose(3, 3), 6, 2),
    "Conv2DTranspose": lambda: _model(layers.Conv2DTranspose(3, 3), 5, 5, 2),
    "Conv3DTranspose": lambda: _model(layers.Conv3DTranspose(2, 2), 3, 3, 3, 2),
    "DepthwiseConv1D": lambda: _model(layers.DepthwiseConv1D(3), 8, 3),
    "DepthwiseConv2D": lambda: _model(layers.DepthwiseConv2D(3), 6, 6, 3),
    "SeparableConv1D": lambda: _model(layers.SeparableConv1D(4, 3), 8, 3),
    "SeparableConv2D": lambda: _model(layers.SeparableConv2D(4, 3), 6, 6, 3),
    "BatchNormalization": lambda: _model(layers.BatchNormalization(), 5),
    "LayerNormalization": lambda: _model(layers.LayerNormalization(), 5),
    "GroupNormalization": lambda: _model(layers.GroupNormalization(2), 4, 4),
    "RMSNormalization": lambda: _model(layers.RMSNormalization(), 5),
    "SpectralNormalization": lambda: dataclasses.replace(
        _model(layers.SpectralNormalization(layers.Dense(4)), 5),
        steady=False,  # `call` divides the kernel by its norm
    ),
    "Normalization": lambda: _model(_adapted(), 5),
    "STFTSpectrogram": lambda: _model(
        layers.STFTSpectrogram("real", frame_length=4, frame_step=2, fft_length=8), 12, 1
    ),
    "PReLU": lambda: _model(layers.PReLU(alpha_initializer="ones"), 5),
    "SimpleRNN": lambda: _model(layers.SimpleRNN(4), 5, 3),
    "LSTM": lambda: _model(layers.LSTM(4), 5, 3),
    "GRU": lambda: _model(layers.GRU(4), 5, 3),
    "RNN": lambda: _model(layers.RNN(layers.GRUCell(4)), 5, 3),
    "SimpleRNNCell": lambda: _model(layers.RNN(layers.SimpleRNNCell(4)), 5, 3),
    "GRUCell": lambda: _model(layers.RNN(layers.GRUCell(3, reset_after=False)), 5, 3),
    "LSTMCell": lambda: _model(layers.RNN([layers.LSTMCell(4), layers.LSTMCell(3)]), 5, 3),
    "StackedRNNCells": lambda: _model(
        layers.RNN(layers.StackedRNNCells([layers.GRUCell(4), layers.SimpleRNNCell(3)])), 5, 3
    ),
    "ConvLSTM1D": lambda: _model(layers.ConvLSTM1D(2, 3), 3, 6, 2),
    "ConvLSTM2D": lambda: _model(*_sequence_of_images(layers.ConvLSTM2D(2, 3))),
    "ConvLSTM3D": lambda: _model(layers.ConvLSTM3D(2, 2), 2, 4, 4, 4, 1),
    "Bidirectional": lambda: _model(layers.Bidirectional(layers.LSTM(3)), 5, 3),
    "TimeDistributed": lambda: _model(layers.TimeDistributed(layers.Dense(3, "tanh")), 5, 3),
    "Attention": lambda: _model(
        _attend(layers.Attention(use_scale=True, score_mode="concat")), 5, 4
    ),
    "AdditiveAttention": lambda: _model(_attend(layers.AdditiveAttention()), 5, 4),
    "MultiHeadAttention": lambda: _model(lambda x: layers.MultiHeadAttention(2, 3)(x, x), 5, 4),
    "GroupQueryAttention": lambda: _model(
        lambda x: layers.GroupQueryAttention(3, 4, 2)(x, x), 5, 4
    ),
}


def _adapted() -> layers.Normalization:
    layer = layers.Normalization()
    layer.adapt(normal(32, 5, seed=3))
    return layer


for _name, _make in MADE.items():
    case(f"layer {_name}")(_make)
