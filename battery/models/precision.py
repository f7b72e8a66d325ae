"""Models in other precisions, quantised, and with LoRA."""

from __future__ import annotations

import functools

import keras
from keras import layers

from battery.models import ALL, Case, case, normal, whole

SAMPLES = 8


def _dense(dtype: str, **compile_arguments: object) -> Case:
    inputs = keras.Input((5,), dtype="float64" if dtype == "float64" else "float32")
    hidden = layers.Dense(6, "tanh", dtype=dtype)(inputs)
    hidden = layers.LayerNormalization(dtype=dtype)(hidden)
    x = normal(SAMPLES, 5)
    model = keras.Model(inputs, layers.Dense(2, dtype=dtype)(hidden))
    return Case(model, x.astype("float64") if dtype == "float64" else x)


for _dtype in ("float64", "mixed_bfloat16", "mixed_float16", "bfloat16", "float16"):
    # JAX has float64 only if asked before it starts.
    _backends = ("tensorflow", "torch") if _dtype == "float64" else ALL
    case(f"precision {_dtype}", _backends)(functools.partial(_dense, _dtype))


def _with_lora(layer: layers.Layer, *shape: int, dtype: str = "float32") -> Case:
    inputs = keras.Input(shape, dtype=dtype)
    outputs = layers.Dense(2, name="out")(layers.Flatten()(layer(inputs)))
    model = keras.Model(inputs, outputs)
    layer.enable_lora(2)
    x = whole(7, SAMPLES, *shape) if dtype == "int32" else normal(SAMPLES, *shape)
    return Case(model, x, clones=False)  # Keras' clones have no LoRA


case("LoRA Dense")(lambda: _with_lora(layers.Dense(4), 5))
case("LoRA EinsumDense")(lambda: _with_lora(layers.EinsumDense("abc,cd->abd", (3, 4)), 3, 5))
case("LoRA Embedding")(lambda: _with_lora(layers.Embedding(7, 4), 5, dtype="int32"))
case("LoRA Conv2D")(lambda: _with_lora(layers.Conv2D(3, 3), 6, 6, 2))


@case("quantised to int8, with LoRA")
def quantised() -> Case:
    inputs = keras.Input((5,))
    layer = layers.Dense(6, name="quantised")
    model = keras.Model(inputs, layers.Dense(2, name="out")(layer(inputs)))
    layer.quantize("int8")
    layer.enable_lora(2)
    return Case(model, normal(SAMPLES, 5), clones=False)
