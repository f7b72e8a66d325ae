"""Answers on several claims: those that measure nearly the same are tested together."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Mapping, Sequence

from keras_lcb.experiments.claim import Answer, Claim
from keras_lcb.experiments.earlier import Earlier, fuller
from keras_lcb.experiments.finding import Finding, corrected


def answers(
    claims: Sequence[Claim],
    folder: str | os.PathLike[str],
    seeds: Mapping[str, Sequence[int]] | None = None,
    earlier: Earlier | None = None,
) -> list[Answer]:
    """Returns what a folder's runs say of claims.

    Verdicts are corrected by Holm's method for the number of settings in all of the given claims
    that are of one family.

    Args:
        claims: The claims.
        folder: Where the runs are.
        seeds: The seeds of a claim's runs, by its name; by default those that it declares.
        earlier: What was found earlier, for settings whose runs are not all there.
    """
    of_claim = {claim.name: (seeds or {}).get(claim.name) for claim in claims}
    measured = [claim.measured(folder, of_claim[claim.name]) for claim in claims]
    if earlier is not None:
        measured = [
            fuller(now, earlier.answer(now.claim, of_claim[now.claim.name])) for now in measured
        ]
    families: dict[str, dict[tuple[str, str], Finding]] = {}
    for answer in measured:
        family = families.setdefault(answer.claim.family or answer.claim.name, {})
        family |= {(answer.claim.name, name): found for name, found in answer.findings.items()}
    certain = {
        place: found for family in families.values() for place, found in corrected(family).items()
    }
    return [
        dataclasses.replace(
            answer, findings={name: certain[answer.claim.name, name] for name in answer.findings}
        )
        for answer in measured
    ]
