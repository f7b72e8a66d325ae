"""What `keras-lcb results` does: runs claims' settings over seeds, and writes the page on them."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from keras_lcb.experiments.changing import changed
from keras_lcb.experiments.claim import Claim, setting_of
from keras_lcb.experiments.earlier import Earlier, read_earlier
from keras_lcb.experiments.families import answers
from keras_lcb.experiments.member import Member
from keras_lcb.experiments.page import write_page
from keras_lcb.experiments.running import complete
from keras_lcb.experiments.section import claims as declared_claims

QUICK_SEEDS = 5


def results(
    out: str | os.PathLike[str],
    runs: str | os.PathLike[str],
    *,
    sections: Sequence[str] | None = None,
    claims: Sequence[str] | None = None,
    seeds: int | None = None,
    first_seed: int = 0,
    changes: Mapping[str, Any] | None = None,
    factors: Mapping[str, float] | None = None,
    quick: bool = False,
    page_only: bool = False,
    earlier: str | os.PathLike[str] | None = None,
    command: str = "keras-lcb results",
    **options: Any,
) -> Path:
    """Runs what a folder lacks of claims' settings, and writes the page on all that it holds.

    Args:
        out: The folder for `RESULTS.md`.
        runs: The folder for the runs, from which another call goes on.
        sections: Whose claims to run; all sections by default. Without `claims`, `first_seed`,
            `changes` and `factors`, the page is about all sections, with what the folder holds of
            the seeds that claims declare, and of those that are run now.
        claims: Which claims to run, by name; all by default. The page is about these only.
        seeds: How many of each setting to run; by default as many as each claim says, or 5 of the
            quick settings.
        first_seed: The first of them.
        changes: Values of settings, by name; for each setting of a claim that has them.
        factors: By what to multiply settings, by name; after `changes`.
        quick: Whether to run small settings only.
        page_only: Whether to run nothing, and write the page on what is there.
        earlier: The folder of an earlier page. What the tables beside it tell of a setting counts
            as it stands where `runs` holds fewer of its runs. A setting that they tell all of is
            not run again.
        command: What the page says it was made by.
        **options: Those of `running.complete`.

    Returns:
        The page.

    Raises:
        ValueError: If there is no such section, claim or setting, a setting cannot have such a
            value, a claim cannot be measured, or there is no earlier page.
        OSError: If a folder cannot be written.
    """
    asked = _chosen(declared_claims(sections, quick=quick), claims)
    if changes or factors:
        asked = [changed(claim, changes or {}, factors or {}) for claim in asked]
    of_claim: dict[str, Sequence[int]] = {
        claim.name: range(first_seed, first_seed + _count(claim, seeds, quick)) for claim in asked
    }
    Path(out).mkdir(parents=True, exist_ok=True)
    before = None if earlier is None else read_earlier(earlier)
    if not page_only:
        members = [m for claim in asked for m in _members(claim, of_claim[claim.name], before)]
        complete(members, runs, **options)
    if claims is not None or changes or factors or first_seed:
        told, looked_at = asked, of_claim
    else:
        told = list(declared_claims(quick=quick).values())
        looked_at = {c.name: _together(range(c.seeds), of_claim.get(c.name, ())) for c in told}
    return write_page(answers(told, runs, looked_at, before), out, command=command, quick=quick)


def _members(claim: Claim, seeds: Sequence[int], before: Earlier | None) -> list[Member]:
    """Returns the members to run: all of each setting that lacked any before."""
    members = claim.members(seeds)
    if before is None:
        return members
    lacked = {setting_of(member) for member in before.answer(claim, seeds).results.missing}
    return [member for member in members if setting_of(member) in lacked]


def _together(declared: Sequence[int], asked: Sequence[int]) -> Sequence[int]:
    return sorted({*declared, *asked})


def _count(claim: Claim, seeds: int | None, quick: bool) -> int:
    if seeds is not None and seeds < 1:
        raise ValueError(f"`seeds` is how many to run, 1 or more; received {seeds}.")
    return seeds or (QUICK_SEEDS if quick else claim.seeds)


def _chosen(known: Mapping[str, Claim], names: Sequence[str] | None) -> list[Claim]:
    for name in names or ():
        if name not in known:
            raise ValueError(f"There is no claim {name!r} here; there are {', '.join(known)}.")
    return [known[name] for name in dict.fromkeys(known if names is None else names)]
