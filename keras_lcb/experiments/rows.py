"""What was found, as tables: a row a setting, and a row a seed and measure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from keras_lcb.experiments.claim import Answer

if TYPE_CHECKING:
    import pandas as pd


def findings(answers: Sequence[Answer]) -> pd.DataFrame:
    """Returns a row for each claim and setting, and for each claim's mean over settings."""
    import pandas as pd

    return pd.DataFrame(
        [
            {
                "claim": answer.claim.name,
                "setting": setting,
                **_figures(answer, found),
                "verdict": answer.claim.verdict(found),
                "lacking": found.lacking,
                "p_order": found.p_order,
                "p_equivalent": found.p_equivalent,
                "loss": found.loss.mean,
                "other_measures": ", ".join(f"{n} {like}" for n, like in found.agreement.items()),
            }
            for answer in answers
            for setting, found in {**answer.findings, "mean over settings": answer.pooled}.items()
        ]
    )


def _figures(answer: Answer, found: object) -> dict[str, float]:
    scale = answer.claim.scale
    value, low, high = scale.ends(found.effect)  # type: ignore[attr-defined]
    return {"effect": value, "low": low, "high": high, "seeds": found.effect.count}  # type: ignore[attr-defined]


def raw(answers: Sequence[Answer]) -> pd.DataFrame:
    """Returns a row for each claim, setting, measure and seed: the effect as it is told."""
    import pandas as pd

    rows = []
    for answer in answers:
        for setting, found in answer.findings.items():
            measures = {"": found.effect, **found.parts, **found.beside}
            for measure, estimate in measures.items():
                for seed, value in zip(found.seeds, estimate.values, strict=True):
                    told = answer.claim.scale.shown(value)
                    rows.append((answer.claim.name, setting, measure, seed, told))
    return pd.DataFrame(rows, columns=["claim", "setting", "measure", "seed", "effect"])
