"""What `keras-lcb results` does: runs claims' settings over seeds, and writes the page on them."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from keras_lcb.experiments.claim import Claim, Setting
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
    quick: bool = False,
    page_only: bool = False,
    command: str = "keras-lcb results",
    **options: Any,
) -> Path:
    """Runs what a folder lacks of claims' settings, and writes the page on all that it holds.

    Args:
        out: The folder for `RESULTS.md`.
        runs: The folder for the runs, from which another call goes on.
        sections: Whose claims to run; all sections by default. Without `claims` and `changes`, the
            page is about all sections, with what the folder holds of them.
        claims: Which claims to run, by name; all by default. The page is about these only.
        seeds: How many of each setting to run; by default as many as each claim says, or 5 of the
            quick settings. The page takes what is there.
        first_seed: The first of them.
        changes: Settings to change, by name; in each setting that has them.
        quick: Whether to run small settings only.
        page_only: Whether to run nothing, and write the page on what is there.
        command: What the page says it was made by.
        **options: Those of `running.complete`.

    Returns:
        The page.

    Raises:
        ValueError: If there is no such section, claim or setting.
        OSError: If a folder cannot be written.
    """
    asked = _chosen(declared_claims(sections, quick=quick), claims)
    if changes:
        asked = [_changed(claim, changes) for claim in asked]
    of_claim = {
        claim.name: range(first_seed, first_seed + _count(claim, seeds, quick)) for claim in asked
    }
    Path(out).mkdir(parents=True, exist_ok=True)
    if not page_only:
        members = [m for claim in asked for m in claim.members(of_claim[claim.name])]
        complete(members, runs, **options)
    alone = claims is not None or changes or first_seed
    told = asked if alone else list(declared_claims(quick=quick).values())
    answers = [claim.answer(runs, of_claim[claim.name] if alone else None) for claim in told]
    return write_page(answers, out, command=command, quick=quick)


def _count(claim: Claim, seeds: int | None, quick: bool) -> int:
    if seeds is not None and seeds < 1:
        raise ValueError(f"`seeds` is how many to run, 1 or more; received {seeds}.")
    return seeds or (QUICK_SEEDS if quick else claim.seeds)


def _chosen(known: Mapping[str, Claim], names: Sequence[str] | None) -> list[Claim]:
    for name in names or ():
        if name not in known:
            raise ValueError(f"There is no claim {name!r} here; there are {', '.join(known)}.")
    return [known[name] for name in (known if names is None else names)]


def _changed(claim: Claim, changes: Mapping[str, Any]) -> Claim:
    """Returns a claim with changed settings.

    Raises:
        ValueError: If no setting has one of them.
    """
    known = {name for setting in claim.settings.values() for name in _fields(setting)}
    unknown = [name for name in changes if name not in known]
    if unknown:
        raise ValueError(
            f"There is no setting {unknown[0]!r}; there are {', '.join(sorted(known))}."
        )
    settings = {
        name: dataclasses.replace(setting, config=_with(setting, changes))
        for name, setting in claim.settings.items()
    }
    return dataclasses.replace(claim, settings=settings)


def _with(setting: Setting, changes: Mapping[str, Any]) -> Any:
    own = {name: value for name, value in changes.items() if name in _fields(setting)}
    return dataclasses.replace(setting.config, **own)


def _fields(setting: Setting) -> set[str]:
    return {field.name for field in dataclasses.fields(setting.config)}
