"""What is worth trying in several cases."""

from __future__ import annotations

import math

from keras_lcb.diagnosis.finding import Advice

_LEAST, _MOST = 1e-4, 1e4  # by which a learning rate is multiplied in one go
_MULTIPLIERS = "lcb.LayerwiseModel.from_model(model, learning_rate_multipliers={{{}}})"

INITIALIZER = Advice(
    "initializer",
    "Give the kernels an initialisation that keeps the size of signals: HeNormal before ReLU and "
    "its like, GlorotUniform otherwise; and let biases begin at 0.",
    'keras.layers.Dense(64, "relu", kernel_initializer="he_normal")',
)
NORMALIZATION = Advice(
    "normalization",
    "Put a normalisation before each activation, or add each block's input to its output.",
    "keras.layers.LayerNormalization()",
)
CLIPPING = Advice(
    "clipping",
    "Clip the gradient, so that one steep place cannot throw the weights away.",
    "keras.optimizers.SGD(0.1, global_clipnorm=1.0)",
)
WARM_UP = Advice(
    "warm-up",
    "Begin with small steps and let the learning rate grow over the first updates.",
    "keras.optimizers.schedules.CosineDecay(0.0, decay_steps, warmup_target=0.1, warmup_steps=100)",
)


def learning_rate(factor: float, rate: float) -> Advice:
    """Returns the advice to multiply the learning rate by a factor."""
    factor = _bounded(factor)
    known = rate * factor if rate == rate else None
    return Advice(
        "lower learning rate" if factor < 1 else "raise learning rate",
        f"{'Lower' if factor < 1 else 'Raise'} the learning rate, to {_times(factor)} of it first.",
        f"optimizer.learning_rate = {known:.3g}" if known is not None else "",
    )


def multipliers(layers: tuple[str, ...], factor: float) -> Advice:
    """Returns the advice to give layers another learning rate than the rest."""
    factor = _bounded(factor)
    named = ", ".join(f'"{name}": {factor:g}' for name in layers)
    return Advice(
        "lower multiplier" if factor < 1 else "raise multiplier",
        f"Give {'this layer' if len(layers) == 1 else 'these layers'} a "
        f"{'smaller' if factor < 1 else 'larger'} learning rate of "
        f"{'its' if len(layers) == 1 else 'their'} own.",
        _MULTIPLIERS.format(named),
    )


def towards(usual: float, now: float) -> float:
    """Returns the power of ten that brings a number nearest to what is usual."""
    if not (usual > 0 and 0 < now < math.inf):
        return 1.0
    return 10.0 ** round(math.log10(usual / now))


def _bounded(factor: float) -> float:
    return min(max(factor, _LEAST), _MOST) if factor == factor else 1.0


def _times(factor: float) -> str:
    return f"1/{1 / factor:g}" if factor < 1 else f"{factor:g} times"
