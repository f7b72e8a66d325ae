"""What was found earlier, read from the tables beside a page, where runs are not at hand."""

from __future__ import annotations

import csv
import dataclasses
import math
import os
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from keras_lcb.analysis import Estimate
from keras_lcb.experiments.claim import Answer, Claim, setting_of
from keras_lcb.experiments.finding import Finding, over_settings
from keras_lcb.experiments.member import Member
from keras_lcb.experiments.results import Results
from keras_lcb.experiments.rows import BESIDE, KINDS, TABLES
from keras_lcb.experiments.scale import Scale

Told = TypeVar("Told")  # of a member: the time it took, or its error
Row = Mapping[str, str]
Place = tuple[str, str]  # the names of a claim and of a setting


@dataclass(frozen=True)
class Earlier:
    """The tables beside a page; see `rows`.

    Attributes:
        findings: The row of each claim and setting.
        effects: The rows of each claim and setting.
        trainings: The row of each training, by the key of its member.
    """

    findings: Mapping[Place, Row]
    effects: Mapping[Place, Sequence[Row]]
    trainings: Mapping[str, Row]

    def answer(self, claim: Claim, seeds: Sequence[int] | None = None) -> Answer:
        """Returns what was found on a claim, uncorrected.

        A setting counts if what was found on it is from trainings with the settings and seeds that
        are asked for now, and from no others. Of a setting that does not, all are missing.

        Args:
            claim: The claim.
            seeds: The seeds of its runs; by default those that it declares.
        """
        asked = claim.members(seeds)
        told = [(m, self.trainings[m.key]) for m in asked if m.key in self.trainings]
        made = Counter(setting_of(member) for member, row in told if not row["error"])
        known = {n for n in claim.settings if made[n] == self._trained((claim.name, n))}
        told = [(member, row) for member, row in told if setting_of(member) in known]
        keys = {member.key for member, _ in told}
        results = Results(
            runs={},
            failures=[(member, row["error"]) for member, row in told if row["error"]],
            missing=[member for member in asked if member.key not in keys],
            made=[(member, _number(row["seconds"])) for member, row in told if not row["error"]],
        )
        places = {
            name: (claim.name, name)
            for name in claim.settings
            if name in known and (claim.name, name) in self.findings
        }
        findings = {name: self._finding(place, claim.scale) for name, place in places.items()}
        trained = {name: self._trained(place) for name, place in places.items()}
        pooled = over_settings(findings, claim.scale)
        return Answer(claim, findings, pooled, results, trained, uncorrected=findings)

    def _trained(self, place: Place) -> int:
        """Returns from how many trainings something was found."""
        return int(self.findings.get(place, {"trained": "0"})["trained"])

    def _finding(self, place: Place, scale: Scale) -> Finding:
        row, measures = self.findings[place], self._measures(place, scale)
        seeds = (int(own["seed"]) for own in self.effects.get(place, ()) if own["kind"] == "effect")
        return Finding(
            scale,
            tuple(seeds),
            measures["effect"].get("", Estimate(())),
            _number(row["p_order"]),
            _number(row["p_equivalent"]),
            direction=int(row["direction"]) if row["direction"] else None,
            beside=measures["beside"],
            parts=measures["part"],
            loss=Estimate((float(row["loss"]),) if row["loss"] else ()),  # the mean is all
            lacking=row["lacking"],
        )

    def _measures(self, place: Place, scale: Scale) -> dict[str, dict[str, Estimate]]:
        """Returns the values of each measure, by its kind and name."""
        values: dict[str, dict[str, list[float]]] = {kind: {} for kind in KINDS}
        for own in self.effects.get(place, ()):
            kept = scale.kept(_number(own["effect"]))
            values[own["kind"]].setdefault(own["measure"], []).append(kept)
        return {
            kind: {name: Estimate(tuple(of)) for name, of in measures.items()}
            for kind, measures in values.items()
        }


def read_earlier(page: str | os.PathLike[str]) -> Earlier:
    """Reads the tables beside a page.

    Args:
        page: The folder of its `RESULTS.md`.

    Raises:
        ValueError: If they are not there.
    """
    findings, effects, trainings = (_rows(Path(page) / BESIDE / f"{name}.csv") for name in TABLES)
    of_place: dict[Place, list[Row]] = {}
    for row in effects:
        of_place.setdefault((row["claim"], row["setting"]), []).append(row)
    return Earlier(
        {(row["claim"], row["setting"]): row for row in findings},
        of_place,
        {row["key"]: row for row in trainings},
    )


def fuller(now: Answer, before: Answer) -> Answer:
    """Returns `now`, but takes a setting from `before` if it lacked fewer runs then.

    Args:
        now: What runs say of a claim, uncorrected.
        before: What `Earlier.answer` returns of it.
    """
    lacking, lacked = (
        Counter(setting_of(member) for member in answer.results.missing) for answer in (now, before)
    )
    taken = {name for name, count in lacking.items() if lacked[name] < count}
    source = {name: before if name in taken else now for name in now.claim.settings}
    findings = {n: of.findings[n] for n, of in source.items() if n in of.findings}
    return dataclasses.replace(
        now,
        findings=findings,
        uncorrected=findings,
        pooled=over_settings(findings, now.claim.scale),
        trained={n: of.trained[n] for n, of in source.items() if n in of.trained},
        results=Results(
            runs=now.results.runs,
            failures=_either(now.results.failures, before.results.failures, taken),
            missing=[m for m in now.results.missing if setting_of(m) not in taken]
            + [m for m in before.results.missing if setting_of(m) in taken],
            made=_either(now.results.made, before.results.made, taken),
        ),
    )


def _either(
    now: Sequence[tuple[Member, Told]], before: Sequence[tuple[Member, Told]], taken: set[str]
) -> list[tuple[Member, Told]]:
    """Returns what is told of members: what was told before in the settings that are taken."""
    kept = [(member, told) for member, told in now if setting_of(member) not in taken]
    return kept + [(member, told) for member, told in before if setting_of(member) in taken]


def _rows(path: Path) -> list[Row]:
    if not path.exists():
        raise ValueError(
            f"There is no {path}: give the folder in which `keras-lcb results` wrote RESULTS.md."
        )
    with open(path, newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def _number(text: str) -> float:
    return float(text) if text else math.nan
