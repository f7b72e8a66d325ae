"""Steps that loss scaling skipped."""

from __future__ import annotations

from collections.abc import Iterator

from keras_lcb.diagnosis.finding import CERTAIN, Advice, Finding
from keras_lcb.diagnosis.observed import Observed
from keras_lcb.diagnosis.rule import Rule

_SHARE = 0.05  # of all steps
_FEW = 20  # a loss scale that starts too large comes down by skipping some steps

_BFLOAT16 = Advice(
    "bfloat16",
    "Compute in bfloat16. It has the range of float32, so it needs no loss scaling.",
    'keras.config.set_dtype_policy("mixed_bfloat16")',
)
_SCALE = Advice(
    "loss scale",
    "Start with a smaller loss scale, and let it grow less often.",
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
        says=f"{skipped:,} of {skipped + applied:,} steps were skipped, because their gradients "
        "were not finite in half precision.",
        evidence={"skipped steps": float(skipped), "share": share},
        sure=CERTAIN,
        try_next=(_BFLOAT16, _SCALE),
    )


RULE = Rule(
    look=_look,
    says=f"the loss scaler skipped more than {_FEW} steps and more than {_SHARE:.0%} of all steps.",
    source="Micikevicius et al. (2018), 'Mixed precision training'. Some skipped steps "
    "are normal; the thresholds are rules of thumb.",
    records=0,
)
