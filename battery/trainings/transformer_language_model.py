"""A small transformer that predicts the next token."""

from typing import Any

import keras
from keras import layers, ops

from battery.models import whole
from battery.trainings import Training


class Positions(layers.Layer):
    """Embeds tokens and their places."""

    def __init__(self, tokens: int, length: int, width: int, **options: Any) -> None:
        super().__init__(**options)
        self.tokens = layers.Embedding(tokens, width)
        self.places = layers.Embedding(length, width)

    def call(self, x: Any) -> Any:
        return self.tokens(x) + self.places(ops.arange(x.shape[1]))


def make() -> Training:
    inputs = keras.Input((7,), dtype="int32")
    x = Positions(11, 7, 8)(inputs)
    for depth in range(2):
        normed = layers.LayerNormalization()(x)
        attended = layers.MultiHeadAttention(2, 4)(normed, normed, use_causal_mask=True)
        x = layers.Add()([x, layers.Dropout(0.1, seed=depth)(attended)])
        normed = layers.LayerNormalization()(x)
        x = layers.Add()([x, layers.Dense(8)(layers.Dense(16, "gelu")(normed))])
    model = keras.Model(inputs, layers.Dense(11, name="next")(x))
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    schedule = keras.optimizers.schedules.CosineDecay(0.01, 20, warmup_target=0.02, warmup_steps=4)
    model.compile(keras.optimizers.AdamW(schedule, clipnorm=1.0), loss, jit_compile=False)
    words = whole(11, 16, 8)
    return Training(model, {"x": words[:, :7], "y": words[:, 1:]})
