"""Models by how their layers are put together: shared, nested, tied, subclassed, stateful, …."""

from __future__ import annotations

import functools
from typing import Any

import keras
from keras import layers

from battery.models import Case, case, normal, whole

SAMPLES = 8
X = normal(SAMPLES, 5)
Y = normal(SAMPLES, 2, seed=1)


def _block(width: int, name: str) -> keras.Sequential:
    return keras.Sequential([layers.Dense(width, "tanh"), layers.LayerNormalization()], name=name)


@case("shared layer")
def shared() -> Case:
    inputs, dense = keras.Input((5,)), layers.Dense(5, "tanh", name="twice")
    return Case(keras.Model(inputs, layers.Dense(2, name="out")(dense(dense(inputs)))), X)


@case("siamese: one model called twice")
def siamese() -> Case:
    tower = keras.Sequential([keras.Input((5,)), layers.Dense(4, "tanh", name="in")], name="tower")
    left, right = keras.Input((5,)), keras.Input((5,))
    joined = layers.Concatenate()([tower(left), tower(right)])
    return Case(
        keras.Model([left, right], layers.Dense(1, name="out")(joined)),
        [X, normal(SAMPLES, 5, seed=1)],
    )


@case("nested functional and sequential")
def nested() -> Case:
    inputs = keras.Input((5,))
    inner_in = keras.Input((4,))
    deep = _block(3, "deep")(layers.Dense(4, name="in")(inner_in))
    inner = keras.Model(inner_in, deep, name="inner")
    hidden = inner(_block(4, "first")(inputs))
    return Case(keras.Model(inputs, layers.Dense(2, name="out")(hidden)), X)


@case("two nested models with layers of one name")
def same_names() -> Case:
    inputs = keras.Input((5,))
    hidden = inputs
    for name in ("first", "second"):
        parts = [layers.Dense(5, "tanh", name="dense"), layers.Dense(5, name="dense_1")]
        hidden = keras.Sequential(parts, name=name)(hidden)
    return Case(keras.Model(inputs, layers.Dense(2, name="dense")(hidden)), X)


@case("sequential without an input")
def unbuilt() -> Case:
    return Case(keras.Sequential([layers.Dense(4, "tanh"), layers.Dense(2)]), X)


@case("several inputs and outputs")
def several() -> Case:
    one, two = keras.Input((5,), name="one"), keras.Input((3,), name="two")
    hidden = layers.Concatenate()([layers.Dense(4, "tanh", name="a")(one), two])
    outputs = [layers.Dense(2, name="left")(hidden), layers.Dense(1, name="right")(hidden)]
    return Case(keras.Model([one, two], outputs), [X, normal(SAMPLES, 3)], loss=["mse", "mae"])


@case("dict of inputs and outputs")
def dicts() -> Case:
    inputs = {"one": keras.Input((5,), name="one"), "two": keras.Input((5,), name="two")}
    one, two = layers.Dense(4, name="a"), layers.Dense(4, name="b")
    hidden = layers.Add()([one(inputs["one"]), two(inputs["two"])])
    outputs = {"out": layers.Dense(2, name="out")(hidden)}
    return Case(keras.Model(inputs, outputs), {"one": X, "two": 2 * X}, loss={"out": "mse"})


@case("lambda and operations")
def operations() -> Case:
    inputs = keras.Input((5,))
    hidden = layers.Lambda(_halved, output_shape=(4,))(layers.Dense(4, name="a")(inputs))
    hidden = keras.ops.tanh(hidden) + keras.ops.mean(hidden, axis=-1, keepdims=True)
    model = keras.Model(inputs, layers.Dense(2, name="out")(hidden))
    return Case(model, X, saves=False)  # loading a Lambda needs `safe_mode=False`


@keras.saving.register_keras_serializable("battery")
def _halved(x: Any) -> Any:
    return 0.5 * x


@case("residual connections")
def residual() -> Case:
    inputs = keras.Input((5,))
    hidden = inputs
    for depth in range(3):
        hidden = layers.Add()([hidden, layers.Dense(5, "relu", name=f"block{depth}")(hidden)])
    return Case(keras.Model(inputs, layers.Dense(2, name="out")(hidden)), X)


@keras.saving.register_keras_serializable("battery")
class ListOfLayers(keras.Model):
    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.blocks = [layers.Dense(5, "tanh") for _ in range(3)]
        self.head = layers.Dense(2)

    def call(self, x: Any) -> Any:
        for block in self.blocks:
            x = block(x)
        return self.head(x)


@keras.saving.register_keras_serializable("battery")
class DictOfLayers(keras.Model):
    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.parts = {"first": layers.Dense(5, "tanh"), "second": _block(4, "inner")}
        self.head = layers.Dense(2)

    def call(self, x: Any, training: bool = False) -> Any:
        return self.head(self.parts["second"](self.parts["first"](x), training=training))


@keras.saving.register_keras_serializable("battery")
class Tied(keras.Model):
    """The decoder begins with the encoder's transposed kernel."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.encoder = layers.Dense(3, "tanh")
        self.decoder = layers.Dense(2)

    def call(self, x: Any) -> Any:
        code = self.encoder(x)
        return self.decoder(keras.ops.matmul(code, keras.ops.transpose(self.encoder.kernel)))


@keras.saving.register_keras_serializable("battery")
class OwnWeights(keras.Model):
    """Has weights of its own beside those of its layers."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.dense = layers.Dense(4, "tanh")
        self.head = layers.Dense(2)

    def build(self, shape: Any) -> None:
        self.scale = self.add_weight(shape=(shape[-1],), initializer="ones", name="scale")
        self.dense.build(shape)
        self.head.build((*shape[:-1], 4))

    def call(self, x: Any) -> Any:
        return self.head(self.dense(x * self.scale))


@keras.saving.register_keras_serializable("battery")
class Composite(layers.Layer):
    def __init__(self, width: int, **options: Any) -> None:
        super().__init__(**options)
        self.width = width
        self.inner, self.outer = layers.Dense(width, "tanh"), layers.Dense(width)

    def build(self, shape: Any) -> None:
        self.inner.build(shape)
        self.outer.build((*shape[:-1], self.width))

    def call(self, x: Any) -> Any:
        return self.outer(self.inner(x))

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "width": self.width}


def _subclassed(made: type[keras.Model]) -> Case:
    return Case(made(), X, Y)


for _name, _class in {
    "subclassed with a list of layers": ListOfLayers,
    "subclassed with a dict of layers": DictOfLayers,
    "subclassed with tied weights": Tied,
    "subclassed with weights of its own": OwnWeights,
}.items():
    case(_name)(functools.partial(_subclassed, _class))


@case("layers within a layer of one's own")
def composite() -> Case:
    inputs = keras.Input((5,))
    hidden = Composite(4, name="composite")(inputs)
    return Case(keras.Model(inputs, layers.Dense(2, name="out")(hidden)), X)


# On torch, Keras itself cannot train it: the state is changed in place.
@case("stateful recurrent network", ("tensorflow", "jax"))
def stateful() -> Case:
    inputs = keras.Input(batch_shape=(4, 5, 3))
    model = keras.Model(inputs, layers.Dense(2)(layers.LSTM(4, stateful=True)(inputs)))
    return Case(model, normal(SAMPLES, 5, 3), batch_size=4)


@case("masked sequences")
def masked() -> Case:
    inputs = keras.Input((5,), dtype="int32")
    hidden = layers.Embedding(7, 4, mask_zero=True)(inputs)
    hidden = layers.Bidirectional(layers.GRU(3, return_sequences=True))(hidden)
    return Case(keras.Model(inputs, layers.Dense(2)(layers.LSTM(3)(hidden))), whole(7, SAMPLES, 5))


@case("TimeDistributed convolutions before a recurrent layer")
def distributed() -> Case:
    inputs = keras.Input((3, 6, 6, 1))
    images = layers.TimeDistributed(layers.Conv2D(2, 3, activation="tanh"))(inputs)
    hidden = layers.GRU(3)(layers.TimeDistributed(layers.Flatten())(images))
    return Case(keras.Model(inputs, layers.Dense(2)(hidden)), normal(SAMPLES, 3, 6, 6, 1))


@case("transformer block")
def transformer() -> Case:
    inputs = keras.Input((6,), dtype="int32")
    x = layers.Embedding(9, 8)(inputs)
    attended = layers.MultiHeadAttention(2, 4)(x, x, use_causal_mask=True)
    x = layers.LayerNormalization()(layers.Add()([x, attended]))
    x = layers.LayerNormalization()(layers.Add()([x, layers.Dense(8, "gelu")(x)]))
    y = whole(9, SAMPLES, 6, seed=2)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    return Case(keras.Model(inputs, layers.Dense(9, name="out")(x)), whole(9, SAMPLES, 6), y, loss)


@case("autoencoder of images")
def autoencoder() -> Case:
    inputs = keras.Input((8, 8, 1))
    hidden = layers.Conv2D(4, 3, strides=2, padding="same", activation="relu")(inputs)
    hidden = layers.Conv2DTranspose(4, 3, strides=2, padding="same", activation="relu")(hidden)
    x = normal(SAMPLES, 8, 8, 1)
    return Case(keras.Model(inputs, layers.Conv2D(1, 3, padding="same")(hidden)), x, x)


@case("dropout and noise")
def dropout() -> Case:
    inputs = keras.Input((5,))
    hidden = layers.Dropout(0.5, seed=1)(layers.Dense(8, "relu")(inputs))
    hidden = layers.GaussianNoise(0.1, seed=2)(hidden)
    return Case(keras.Model(inputs, layers.Dense(2)(hidden)), X)


@case("regularised and constrained")
def regularised() -> Case:
    inputs = keras.Input((5,))
    hidden = layers.Dense(4, "tanh", kernel_regularizer="l2", activity_regularizer="l1")(inputs)
    hidden = layers.Dense(4, "tanh", bias_regularizer="l2")(hidden)
    return Case(keras.Model(inputs, layers.Dense(2)(hidden)), X)


@case("frozen layers")
def frozen() -> Case:
    inputs = keras.Input((5,))
    hidden = layers.Dense(4, "tanh", name="kept", trainable=False)(inputs)
    hidden = layers.BatchNormalization(trainable=False)(hidden)
    return Case(keras.Model(inputs, layers.Dense(2, name="out")(hidden)), X)


@case("a layer that the loss does not reach")
def unreached() -> Case:
    inputs = keras.Input((5,))
    outputs = [layers.Dense(2, name="used")(inputs), layers.Dense(2, name="unused")(inputs)]
    return Case(keras.Model(inputs, outputs), X, loss=["mse", None])
