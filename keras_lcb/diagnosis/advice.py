"""Advice that several rules give."""

from __future__ import annotations

import math

from keras_lcb.diagnosis.finding import Advice

_LEAST, _MOST = 1e-4, 1e4  # smallest and largest factor of an advice
_MULTIPLIERS = (
    "layerwise = lcb.LayerwiseModel.from_model(model, learning_rate_multipliers={{{}}}); "
    "layerwise.compile(model.optimizer, model.loss)"
)

INITIALIZER = Advice(
    "initializer",
    "Initialize the kernels so that signals keep their size: HeNormal for layers with ReLU or a "
    "similar activation, GlorotUniform for others. Let biases begin at 0.",
    'keras.layers.Dense(64, "relu", kernel_initializer="he_normal")',
)
NORMALIZATION = Advice(
    "normalization",
    "Put a normalization layer before each activation, or add each block's input to its output.",
    "keras.layers.LayerNormalization()",
)
CLIPPING = Advice(
    "clipping",
    "Clip the gradient, so that a single very large gradient cannot move the weights far away.",
    "keras.optimizers.SGD(0.1, global_clipnorm=1.0)",
)
WARM_UP = Advice(
    "warm-up",
    "Begin with a small learning rate and let it grow over the first updates.",
    "keras.optimizers.schedules.CosineDecay(0.0, decay_steps, warmup_target=0.1, warmup_steps=100)",
)


def learning_rate(factor: float, rate: float) -> Advice:
    """Returns the advice to multiply the learning rate by a factor.

    Args:
        factor: The factor.
        rate: The learning rate; NaN if there is no single one, as with a schedule, which Keras does
            not let one replace by a number.
    """
    factor = _bounded(factor)
    known = rate * factor if rate == rate else None
    return Advice(
        "lower learning rate" if factor < 1 else "raise learning rate",
        f"{'Lower' if factor < 1 else 'Raise'} the learning rate. First multiply it by {factor:g}.",
        f"optimizer.learning_rate = {known:.3g}" if known is not None else "",
    )


def multipliers(layers: tuple[str, ...], factor: float) -> Advice:
    """Returns the advice to give some layers a learning rate of their own."""
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
    """Returns the power of ten that, as a factor, brings `now` closest to `usual`."""
    if not (usual > 0 and 0 < now < math.inf):
        return 1.0
    return 10.0 ** round(math.log10(usual / now))


def _bounded(factor: float) -> float:
    return min(max(factor, _LEAST), _MOST) if factor == factor else 1.0
