"""Applies the first advice of a finding to a setting."""

from __future__ import annotations

import re
from collections.abc import Callable

from benchmarks.planted.setting import Setting
from keras_lcb.diagnosis import Advice, Finding

Remedy = Callable[[Setting, Finding, Advice], Setting]


def _rate(setting: Setting, finding: Finding, advice: Advice) -> Setting:
    told = re.search(r"learning_rate = (\S+)", advice.code)
    assert told is not None
    return setting.but(rate=float(told[1]))


def _multiplier(setting: Setting, finding: Finding, advice: Advice) -> Setting:
    """Changes the multipliers of the layers that the advice names by the factor that it gives."""
    factor = float(re.findall(r": ([\d.e+-]+)", advice.code)[0])
    others = not any(f'"{name}"' in advice.code for name in finding.layers)
    now = tuple(
        (name, old * factor if (name == "every") == others else old, at)
        for name, old, at in setting.multipliers
    )
    return setting.but(multipliers=now or ((",".join(finding.layers), factor, 0),))


def _activation(setting: Setting, finding: Finding, advice: Advice) -> Setting:
    return setting.but(activation="leaky_relu" if "leaky" in advice.code else "relu")


REMEDIES: dict[str, Remedy] = {
    "activation": _activation,
    "initializer": lambda setting, *_: setting.but(gain=1.0, bias=0.0),
    "normalization": lambda setting, *_: setting.but(normalization=True),
    "clipping": lambda setting, *_: setting.but(clip=1.0),
    "raise multiplier": _multiplier,
    "lower multiplier": _multiplier,
    "lower learning rate": _rate,
    "raise learning rate": _rate,
    "unfreeze": lambda setting, *_: setting.but(frozen=""),
    "connect": lambda setting, *_: setting.but(cut=""),
    "weight decay": lambda setting, *_: setting.but(decay=0.01),
    "bfloat16": lambda setting, *_: setting.but(precision="mixed_bfloat16", growth=0),
    "train longer": lambda setting, *_: setting.but(records=2 * setting.records),
}
# The aim of this advice is to save time, not to lower the loss.
SAVES_TIME = ("freeze",)


def mended(setting: Setting, finding: Finding) -> Setting | None:
    """Returns the setting with the first advice applied, or `None` if that only saves time."""
    advice = finding.try_next[0]
    if advice.kind in SAVES_TIME:
        return None
    return REMEDIES[advice.kind](setting, finding, advice)
