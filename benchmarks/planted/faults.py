"""Sound settings, and the faults that can be planted in them, by the name of the finding."""

from __future__ import annotations

from collections.abc import Callable

from benchmarks.planted.setting import Setting

# The networks of the reported table, and those on which the thresholds were tuned.
REPORTED = {
    "mlp": Setting("mlp", depth=5, width=32),
    "cnn": Setting("cnn", depth=4, width=8, normalization=True),
    "transformer": Setting("transformer", depth=2, width=16, normalization=True, residual=True),
}
TUNED = {
    "wave": Setting("mlp", "wave", depth=4, width=48, activation="tanh"),
    "resnet": Setting("cnn", "gratings", depth=5, width=8, residual=True),
    "mixer": Setting("mixer", "gratings", depth=2, width=24, normalization=True),
    "relu": Setting("mlp", "gratings", depth=4, width=48),
    "norm": Setting("cnn", "gratings", depth=3, width=12, normalization=True),
    "attention": Setting(
        "transformer", "gratings", depth=3, width=24, normalization=True, residual=True
    ),
}
RATES = {
    ("mlp", "digits"): {"momentum": 0.03, "adam": 0.004},
    ("cnn", "digits"): {"momentum": 0.05, "adam": 0.01},
    ("transformer", "digits"): {"momentum": 0.05, "adam": 0.01},
    ("mlp", "wave"): {"momentum": 0.03, "adam": 0.004},
    ("mlp", "gratings"): {"momentum": 0.03, "adam": 0.004},
    ("cnn", "gratings"): {"momentum": 0.03, "adam": 0.01},
    ("transformer", "gratings"): {"momentum": 0.05, "adam": 0.01},
    ("mixer", "gratings"): {"momentum": 0.05, "adam": 0.01},
}


def sound(base: Setting, optimizer: str) -> Setting:
    """Returns the setting with this optimizer and a suitable learning rate."""
    return base.but(optimizer=optimizer, rate=RATES[base.network, base.data][optimizer])


def healthy(base: Setting, optimizer: str) -> list[Setting]:
    """Returns five sound settings with this optimizer."""
    own = sound(base, optimizer)
    return [
        own,
        own.but(rate=own.rate / 2),
        own.but(schedule="cosine", rate=own.rate * 1.5),
        own.but(width=own.width * 2),
        own.but(activation="gelu"),
    ]


# Factors of the learning rate. Convolutions are stable up to a high rate.
_BEYOND = {"mlp": 20, "cnn": 60, "transformer": 20, "mixer": 20}
_TO_INFINITY = {"mlp": 100, "cnn": 3000, "transformer": 100, "mixer": 100}

# Updates between two records, with which training stops in the middle of the fall of the loss.
_STOPPED = {"digits": 2, "wave": 5, "gratings": 5}


def _deep(own: Setting) -> Setting:
    """Returns the setting with more blocks, which nothing holds together."""
    depth = 4 if own.network in ("transformer", "mixer") else 8
    return own.but(depth=depth, normalization=False)


def _growing(own: Setting) -> Setting:
    part = "normalized" if own.network == "mixer" else "all"
    factor = 100.0 if own.network == "mlp" else 30.0
    return own.but(normalization=True, multipliers=((part, factor, 0),))


def _unsettled(own: Setting) -> Setting:
    """Returns the setting in which most layers nearly stop in the middle of training.

    The data are noisy, so that gradients do not vanish at the end.
    """
    half = own.records // 2
    stop = (("middle", 5.0, 0), ("every", 0.01, half), ("middle", 5.0, half))
    return own.but(data=f"noisy_{own.data}", multipliers=stop)


FAULTS: dict[str, Callable[[Setting], Setting]] = {
    "vanishing gradient": lambda own: _deep(own).but(activation="sigmoid", residual=False),
    "exploding gradient": lambda own: _deep(own).but(gain=3.0),
    "dead units": lambda own: own.but(bias=-4.0, activation="relu"),
    "updates too small": lambda own: own.but(multipliers=(("first half", 1e-4, 0),)),
    "updates too large": lambda own: own.but(multipliers=(("middle", 200.0, 0),)),
    "learning rate too large": lambda own: own.but(rate=own.rate * _BEYOND[own.network]),
    "learning rate too small": lambda own: own.but(rate=own.rate * 1e-4),
    "frozen layer": lambda own: own.but(frozen="first half"),
    "disconnected layer": lambda own: own.but(cut="yes"),
    "settled layer": lambda own: own.but(multipliers=(("middle", 0.0, own.records // 4),)),
    "unsettled layer": _unsettled,
    "growing weights": _growing,
    "skipped steps": lambda own: own.but(precision="mixed_float16", growth=1),
    "not finite": lambda own: own.but(rate=own.rate * _TO_INFINITY[own.network], naive=True),
    "not ended": lambda own: own.but(updates=_STOPPED[own.data]),
}
