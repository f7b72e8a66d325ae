"""Steps that loss scaling left out."""

from __future__ import annotations

from collections.abc import Iterator

from keras_lcb.diagnosis.finding import CERTAIN, Advice, Finding
from keras_lcb.diagnosis.observed import Observed
from keras_lcb.diagnosis.rule import Rule

_SHARE = 0.05
_FEW = 20  # a scale that begins too large takes some steps to come down

_BFLOAT16 = Advice(
    "bfloat16",
    "Compute in bfloat16, whose range is that of float32, so that no loss scaling is needed.",
    'keras.config.set_dtype_policy("mixed_bfloat16")',
)
_SCALE = Advice(
    "loss scale",
    "Begin with a smaller loss scale, and let it grow less often.",
    "keras.optimizers.LossScaleOptimizer(optimizer, initial_scale=128.0)",
)


def _look(seen: Observed) -> Iterator[Finding]:
    skipped = int(seen.attrs.get("skipped_updates", 0))
    applied = int(seen.steps[-1]) if len(seen.steps) else 0
    share = skipped / max(1, skipped + applied)
    if skipped <= _FEW or share <= _SHARE:
        return
    yield Finding(
        layers=(),
        updates=(0, applied),
        says=f"{skipped:,} of {skipped + applied:,} steps were left out, since their gradients "
        "were not finite in half precision.",
        evidence={"steps left out": float(skipped), "share": share},
        sure=CERTAIN,
        try_next=(_BFLOAT16, _SCALE),
    )


RULE = Rule(
    look=_look,
    says=f"more than {_FEW} steps and more than {_SHARE:.0%} of all were left out by the loss "
    "scaler.",
    source="Micikevicius et al. (2018), 'Mixed precision training'. That some are left out is "
    "normal; the thresholds are rules of thumb.",
    records=0,
)
