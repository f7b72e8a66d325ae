"""The tables beside a page: what was found, and from which trainings. `earlier` reads them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from keras_lcb.experiments.claim import Answer, setting_of
from keras_lcb.experiments.finding import Finding
from keras_lcb.experiments.member import Member

if TYPE_CHECKING:
    import pandas as pd

BESIDE = "results"  # the folder of the tables, beside the page
TABLES = ("findings", "rows", "trainings")
KINDS = ("effect", "part", "beside")


def tables(answers: Sequence[Answer]) -> dict[str, pd.DataFrame]:
    """Returns all tables by name."""
    return dict(zip(TABLES, (findings(answers), raw(answers), trainings(answers)), strict=True))


def findings(answers: Sequence[Answer]) -> pd.DataFrame:
    """Returns a row for each claim and setting, and for each claim's mean over settings.

    The verdict rests on p-values that are corrected for the number of tests; they stand beside
    those of the setting by itself.
    """
    import pandas as pd

    return pd.DataFrame(
        [
            {
                "claim": answer.claim.name,
                "setting": setting,
                **_figures(answer, found),
                "trained": answer.trained.get(setting, ""),
                "failed": answer.failed()[setting] or "",
                "verdict": answer.claim.verdict(found),
                "contested": found.contested,
                "lacking": found.lacking,
                "p_order": alone.p_order,
                "p_equivalent": alone.p_equivalent,
                "p_order_corrected": found.p_order,
                "p_equivalent_corrected": found.p_equivalent,
                "direction": found.direction or "",
                "loss": found.loss.mean,
                "other_measures": ", ".join(f"{n} {like}" for n, like in found.agreement.items()),
            }
            for answer in answers
            for setting, found, alone in _told(answer)
        ]
    )


def _told(answer: Answer) -> list[tuple[str, Finding, Finding]]:
    """A claim's findings, corrected and not, and the mean over settings, which is one test."""
    own = [(name, found, answer.uncorrected[name]) for name, found in answer.findings.items()]
    return [*own, ("mean over settings", answer.pooled, answer.pooled)]


def _figures(answer: Answer, found: Finding) -> dict[str, float]:
    value, low, high = answer.claim.scale.ends(found.effect)
    return {"effect": value, "low": low, "high": high, "seeds": found.effect.count}


def raw(answers: Sequence[Answer]) -> pd.DataFrame:
    """Returns a row for each claim, setting, measure and seed: the effect as it is told.

    A measure is the effect itself, a part of it, or one that stands beside it.
    """
    import pandas as pd

    rows = [
        (answer.claim.name, setting, kind, measure, seed, value)
        for answer in answers
        for setting, found in answer.findings.items()
        for kind, measure, values in _measures(found)
        for seed, value in zip(found.seeds, values, strict=True)
    ]
    return pd.DataFrame(rows, columns=["claim", "setting", "kind", "measure", "seed", "effect"])


def _measures(found: Finding) -> Iterator[tuple[str, str, Sequence[float]]]:
    """Yields the kind, the name and the values of each measure."""
    kinds = {"effect": {"": found.effect}, "part": found.parts, "beside": found.beside}
    for kind, measures in kinds.items():
        for measure, estimate in measures.items():
            yield kind, measure, [found.scale.shown(value) for value in estimate.values]


def trainings(answers: Sequence[Answer]) -> pd.DataFrame:
    """Returns a row for each training, which several claims may share.

    It has the hash of all its settings, and the processor time that it took, or why it failed.
    """
    import pandas as pd

    rows: dict[str, tuple[object, ...]] = {}
    for answer in answers:
        outcomes: list[tuple[Member, float | str, str]]
        outcomes = [(m, seconds, "") for m, seconds in answer.results.made]
        outcomes += [(m, "", error) for m, error in answer.results.failures]
        order = list(answer.claim.settings)
        outcomes.sort(key=lambda outcome: (order.index(setting_of(outcome[0])), outcome[0].seed))
        for member, *outcome in outcomes:
            where = (answer.claim.name, setting_of(member), member.seed)
            rows.setdefault(member.key, (*where, member.key, *outcome))
    columns = ["claim", "setting", "seed", "key", "seconds", "error"]
    return pd.DataFrame(list(rows.values()), columns=columns)
