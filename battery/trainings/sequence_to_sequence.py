"""A recurrent encoder and decoder, trained with the right previous character."""

import keras
from keras import layers

from battery.models import whole
from battery.trainings import Training


def make() -> Training:
    source, target = keras.Input((6,), dtype="int32"), keras.Input((5,), dtype="int32")
    embedding = layers.Embedding(9, 6, mask_zero=True, name="characters")
    _, hidden, cell = layers.LSTM(8, return_state=True, name="encoder")(embedding(source))
    decoder = layers.LSTM(8, return_sequences=True, name="decoder")
    x = decoder(embedding(target), initial_state=[hidden, cell])
    model = keras.Model([source, target], layers.Dense(9, name="next")(x))
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.Adam(0.01), loss, jit_compile=False)
    words = whole(9, 16, 6, seed=1)
    return Training(model, {"x": [whole(9, 16, 6), words[:, :5]], "y": words[:, 1:]})
