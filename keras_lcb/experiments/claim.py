"""A claim: what is said, in which settings it is put to the test, and by which measure."""

from __future__ import annotations

import dataclasses
import functools
import os
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from keras_lcb.experiments.finding import Finding, corrected, over_settings
from keras_lcb.experiments.grid import member_of
from keras_lcb.experiments.learned import of_learned
from keras_lcb.experiments.member import Member
from keras_lcb.experiments.results import Results, load_members
from keras_lcb.experiments.scale import Scale

if TYPE_CHECKING:
    import xarray as xr


@dataclass(frozen=True)
class Setting:
    """What is trained: an engine and all its settings but the seed.

    Attributes:
        engine: As in `Study`.
        config: The settings, whatever their seed.
    """

    engine: str
    config: Any


@dataclass(frozen=True)
class Claim:
    """A claim, and how it is put to the test.

    Attributes:
        name: For files and the command line, such as "shallower-first".
        says: What is claimed, a sentence.
        source: Who claims it: "the paper", or "our own question".
        effect: What the effect is, in words: "time to half the distance, last layer ÷ first".
        above: The verdict where the effect is more than none.
        below: The verdict where it is less.
        holds: Which verdicts the claim predicts, of `above`, `below` and `none`.
        measure: From the runs of a setting, stacked along `seed`, to what they say.
        scale: Of the effect.
        settings: Name to what is trained. Verdicts are corrected for their number.
        seeds: How many of each the full study takes.
        family: A name that it shares with claims that measure nearly the same, with which its
            verdicts are corrected together. By default it is a family of its own.
        unlearned: Whether runs that learned nothing count, too; see `learned`.
        challenge: What to change to contradict it: settings for the command line.
        none: The verdict where the effect is sure to be none.
        note: What one has to know to read the effect, sentences; or a function of the settings that
            returns these. Read it from `noted`.
        control: Name of a claim that has to hold too, for this one to hold.

    Raises:
        ValueError: If `holds` is not a tuple of verdicts of the claim.
    """

    name: str
    says: str
    source: str
    effect: str
    above: str
    below: str
    holds: tuple[str, ...]
    measure: Callable[[xr.Dataset], Finding]
    scale: Scale
    settings: Mapping[str, Setting]
    seeds: int = 10
    family: str = ""
    unlearned: bool = False
    challenge: str = ""
    none: str = "equivalent"
    note: str | Callable[[Mapping[str, Setting]], str] = ""
    control: str = ""

    def __post_init__(self) -> None:
        verdicts = (self.above, self.below, self.none)
        if not isinstance(self.holds, tuple) or not self.holds or {*self.holds} - {*verdicts}:
            raise ValueError(
                f"`holds` of the claim {self.name!r} must be a tuple of one or more of its "
                f"verdicts {', '.join(map(repr, verdicts))}; received {self.holds!r}."
            )

    @property
    def noted(self) -> str:
        """What one has to know to read the effect in the settings of this claim."""
        return self.note if isinstance(self.note, str) else self.note(self.settings)

    def members(self, seeds: Sequence[int] | None = None) -> list[Member]:
        """Returns all members, settings running fastest, so that all have the first seeds early."""
        return [
            member_of(
                setting.engine,
                dataclasses.replace(setting.config, seed=seed),
                (("setting", name),),
            )
            for seed in (range(self.seeds) if seeds is None else seeds)
            for name, setting in self.settings.items()
        ]

    def answer(self, folder: str | os.PathLike[str], seeds: Sequence[int] | None = None) -> Answer:
        """Returns what a folder's runs say of this claim alone. See `families` for several."""
        found = self.measured(folder, seeds)
        return dataclasses.replace(found, findings=corrected(found.findings))

    def measured(
        self, folder: str | os.PathLike[str], seeds: Sequence[int] | None = None
    ) -> Answer:
        """Returns what a folder's runs say, as if each setting were the only test.

        Raises:
            ValueError: If `measure` ends with an error, or does not return a finding of the runs.
        """
        results = load_members(self.members(seeds), folder)
        runs = {dict(choice)["setting"]: own for choice, own in results.runs.items()}
        # In the order in which they are declared.
        findings = {name: self._found(name, runs[name]) for name in self.settings if name in runs}
        trained = {name: own.sizes["seed"] for name, own in runs.items()}
        pooled = over_settings(findings, self.scale)
        return Answer(self, findings, pooled, results, trained, uncorrected=findings)

    def _found(self, setting: str, runs: xr.Dataset) -> Finding:
        """Returns what the claim measures in a setting. Errors name the claim and the setting."""
        try:
            return self._measured(runs)
        except Exception as error:
            raise ValueError(
                f"The claim {self.name!r} could not be measured in the setting {setting!r}. "
                "Correct its `measure`, and make the page again; the runs are kept. The error was "
                f"{type(error).__name__}: {error}"
            ) from error

    def _measured(self, runs: xr.Dataset) -> Finding:
        measure = functools.partial(_checked, self.measure)
        return measure(runs) if self.unlearned else of_learned(measure, runs, self.scale)

    def verdict(self, finding: Finding) -> str:
        """Returns a finding in words."""
        if finding.equivalent:
            return self.none
        return {1: self.above, -1: self.below, 0: "inconclusive"}[finding.sign]


def _checked(measure: Callable[[xr.Dataset], Finding], runs: xr.Dataset) -> Finding:
    """Returns what is measured, once it is a finding with a value for each of its seeds."""
    found = measure(runs)
    if not isinstance(found, Finding):
        raise ValueError(f"`measure` must return a Finding; it returned {found!r}.")
    known = runs["seed"].values.tolist()
    if not set(found.seeds).issubset(known):
        raise ValueError(f"`measure` must tell of seeds in {known}; it told of {[*found.seeds]}.")
    for name, estimate in {"effect": found.effect, **found.parts, **found.beside}.items():
        if len(estimate.values) != len(found.seeds):
            raise ValueError(
                f"`measure` must return a value for each seed of its finding; it returned "
                f"{len(estimate.values)} values of {name!r} for {len(found.seeds)} seeds."
            )
    return found


@dataclass(frozen=True)
class Answer:
    """What was found on a claim.

    Attributes:
        claim: The claim.
        findings: For each setting that has runs, what they say, corrected for their number.
        pooled: The mean over settings.
        results: The runs themselves, and which failed or are missing.
        trained: For each setting, how many runs there are, whether or not they have an effect.
        uncorrected: The findings as if each setting were the only test.
    """

    claim: Claim
    findings: Mapping[str, Finding]
    pooled: Finding
    results: Results
    trained: Mapping[str, int]
    uncorrected: Mapping[str, Finding]

    def verdicts(self) -> dict[str, str]:
        """Returns the verdict on each setting."""
        return {name: self.claim.verdict(found) for name, found in self.findings.items()}

    def failed(self) -> Counter[str]:
        """Returns how many members failed, for each setting in which any did."""
        return Counter(setting_of(member) for member, _ in self.results.failures)


def setting_of(member: Member) -> str:
    """Returns the name of the setting of a claim that a member belongs to."""
    return str(dict(member.choice)["setting"])
