"""Measures how often `diagnose` finds planted faults, and how often it finds faults in sound runs.

python -m benchmarks.diagnose [--runs FOLDER] [--seeds 10] [--only FAULT ...] [--tune] [--quick]

The program trains small networks with a known fault, and sound ones. For each rule, it prints

- found: the share of the trainings with this fault in which the rule finds it;
- false: the share of the sound trainings in which the rule finds its fault, which is not there;
- mended: the share of the trainings with a finding that reach a lower loss when they are repeated
  with the first advice; and that share of the trainings that the fault had harmed, which are those
  that reach a higher loss than the same training without the fault.

`planted/proofs.py` checks whether faults are there that may fail to occur. Each run is written to
FOLDER as soon as it ends. So an interrupted benchmark continues, and rules can be changed without
training again. `--tune` uses the networks and seeds on which the thresholds were tuned. They are
different from those of the reported table. `--stored` trains nothing. `--out` writes the rows of
the table, and `--page` writes the page on them.
"""

from __future__ import annotations

import argparse
import dataclasses
import itertools
import json
import math
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tqdm
import xarray as xr

from benchmarks import diagnose_page
from benchmarks.planted.faults import FAULTS, REPORTED, TUNED, healthy, sound
from benchmarks.planted.proofs import PROOFS
from benchmarks.planted.remedies import mended
from benchmarks.planted.setting import Setting
from benchmarks.planted.training import trained
from keras_lcb.diagnosis import Findings, diagnose
from keras_lcb.diagnosis.observed import Observed
from keras_lcb.diagnosis.rules.updates_too_large import ratios

OPTIMIZERS = ("momentum", "adam")
HEALTHY_SEEDS = 5
TUNING_SEED = 1000
Row = dict[str, Any]


@dataclasses.dataclass
class Runs:
    """The runs in a folder. Missing runs are trained when they are needed.

    Attributes:
        folder: The folder of the files.
        train: Whether to train missing runs.
    """

    folder: Path
    train: bool = True
    _last: dict[str, Any] = dataclasses.field(default_factory=dict)

    def of(self, settings: Iterable[Setting]) -> Iterator[tuple[Setting, xr.Dataset]]:
        """Yields the run of each setting. Leaves out missing runs if they are not to be trained."""
        self.folder.mkdir(parents=True, exist_ok=True)
        for setting in settings:
            if self.train or (self.folder / f"{setting.key}.nc").exists():
                yield setting, trained(setting, self.folder, self._last)

    def proved(
        self, fault: str, known: dict[Setting, xr.Dataset]
    ) -> dict[Setting, tuple[xr.Dataset, bool]]:
        """Returns whether the fault is there in each run; leaves out runs without their proof."""
        proof = PROOFS.get(fault)
        if proof is None:
            return {setting: (run, True) for setting, run in known.items()}
        others = dict(self.of(proof.other(setting) for setting in known))
        pairs = {each: (run, others.get(proof.other(each))) for each, run in known.items()}
        return {
            each: (run, proof.shows(run, other))
            for each, (run, other) in pairs.items()
            if other is not None
        }


def measure(
    runs: Runs,
    bases: dict[str, Setting],
    faults: Sequence[str],
    seeds: Sequence[int],
    healthy_seeds: Sequence[int],
    optimizers: Sequence[str] = OPTIMIZERS,
    remedies: int | None = None,
) -> list[Row]:
    """Diagnoses every run, and repeats trainings with a finding with the first advice.

    Args:
        runs: The folder of the runs.
        bases: The networks, by name.
        faults: The faults to plant.
        seeds: The seeds of the trainings with a fault.
        healthy_seeds: The seeds of the sound trainings.
        optimizers: The names of the optimizers.
        remedies: Of how many seeds trainings are repeated with the advice; by default, of all.

    Returns:
        A row for each fault in each network with each optimizer, and one for each sound setting.
    """
    rows = []
    cells = list(itertools.product(bases, optimizers, faults))
    for network, optimizer, fault in tqdm.tqdm(cells, unit=" faults"):
        own = [sound(bases[network], optimizer).but(seed=seed) for seed in seeds]
        row = {"fault": fault, "network": network, "optimizer": optimizer}
        rows.append(row | _of_fault(fault, own, runs, remedies))
    for network, optimizer in tqdm.tqdm(list(itertools.product(bases, optimizers)), unit=" sound"):
        for place, setting in enumerate(healthy(bases[network], optimizer)):
            row = {"sound": place, "network": network, "optimizer": optimizer}
            own = [setting.but(seed=seed) for seed in healthy_seeds]
            rows.append(row | _of_sound(own, runs))
    return rows


def _of_fault(fault: str, own: Sequence[Setting], runs: Runs, remedies: int | None) -> Row:
    """Returns how often a fault is there, found, and mended, in trainings that were sound."""
    plants = {FAULTS[fault](setting): setting for setting in own}
    known = runs.proved(fault, dict(runs.of(plants)))
    there = {setting: run for setting, (run, proved) in known.items() if proved}
    findings = {setting: diagnose(run) for setting, run in there.items()}
    found = [setting for setting in there if fault in findings[setting].names]
    counts = Counter(name for each in findings.values() for name in set(each.names) - {fault})
    row: Row = {"runs": len(known), "there": len(there), "found": len(found)}
    chosen = {plants[setting] for setting in found}.intersection(own[:remedies])
    advised = {each: findings[each] for each in found if plants[each] in chosen}
    reached = {each: there[each].attrs["reached"] for each in advised}
    row |= _of_advice(fault, advised, reached, plants, runs)
    return row | {"beside": dict(counts.most_common())}


def _of_advice(
    fault: str,
    findings: dict[Setting, Findings],
    reached: dict[Setting, float],
    plants: dict[Setting, Setting],
    runs: Runs,
) -> Row:
    """Returns how often the first advice on a fault lowers the loss that a training reaches."""
    first = {
        setting: next(finding for finding in each if finding.name == fault)
        for setting, each in findings.items()
    }
    advised = {setting: mended(setting, finding) for setting, finding in first.items()}
    better = {setting: other for setting, other in advised.items() if other is not None}
    repeated = dict(runs.of(better.values()))
    without = {key: run.attrs["reached"] for key, run in runs.of(plants[each] for each in better)}
    tried = [each for each in better if better[each] in repeated]
    harmed = [each for each in tried if reached[each] > without.get(plants[each], math.inf)]
    mends = {each for each in tried if repeated[better[each]].attrs["reached"] < reached[each]}
    gone = [each for each in tried if fault not in diagnose(repeated[better[each]]).names]
    return {
        "advice": dict(Counter(finding.try_next[0].kind for finding in first.values())),
        "tried": len(tried),
        "mended": len(mends),
        "gone": len(gone),
        "harmed": len(harmed),
        "harmed_mended": len(mends.intersection(harmed)),
    }


def _of_sound(own: Sequence[Setting], runs: Runs) -> Row:
    """Returns how often each fault is found in sound trainings, rightly and wrongly."""
    known = dict(runs.of(own))
    names = {setting: set(diagnose(run).names) for setting, run in known.items()}
    right: Counter[str] = Counter()
    for fault in PROOFS:
        told = {setting: known[setting] for setting in known if fault in names[setting]}
        for setting, (_, there) in runs.proved(fault, told).items():
            if there:
                names[setting].discard(fault)
                right[fault] += 1
    false = Counter(name for each in names.values() for name in each)
    return {
        "runs": len(known),
        "false": dict(false),
        "right": dict(right),
        "any": sum(map(bool, names.values())),
        "updates": _sizes_of_updates(known.values()),
    }


def _sizes_of_updates(runs: Iterable[xr.Dataset]) -> list[float]:
    """Returns updates over weights: the least of a layer (median over records), median, largest."""
    sizes = [ratios(seen)[:, seen.kernels] for seen in map(Observed, runs)]
    if not sizes:
        return []
    least = min(float(np.median(own, axis=0).min()) for own in sizes)
    return [least, float(np.median(sizes)), float(np.max(sizes))]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--runs", type=Path, default=Path("diagnose-runs"), help="folder of the runs"
    )
    parser.add_argument(
        "--seeds", type=int, default=10, help="seeds of each planted fault; default: 10"
    )
    parser.add_argument("--tune", action="store_true", help="use the networks for tuning")
    parser.add_argument("--quick", action="store_true", help="use one network and two seeds")
    parser.add_argument("--only", nargs="+", choices=list(FAULTS), default=list(FAULTS))
    parser.add_argument("--stored", action="store_true", help="only count stored runs")
    parser.add_argument(
        "--remedies",
        type=int,
        help="number of seeds whose trainings are repeated with the advice; default: all",
    )
    parser.add_argument("--out", type=Path, help="file to which to write the rows")
    parser.add_argument("--page", type=Path, help="file to which to write the page")
    options = parser.parse_args()
    bases = TUNED if options.tune else REPORTED
    first = TUNING_SEED if options.tune else 0
    seeds, of_sound = options.seeds, math.ceil(options.seeds * HEALTHY_SEEDS / 10)
    if options.quick:
        bases, seeds, of_sound = {"mlp": REPORTED["mlp"]}, 2, 1
    rows = measure(
        Runs(options.runs, train=not options.stored),
        bases,
        options.only,
        range(first, first + seeds),
        range(first, first + of_sound),
        remedies=options.remedies,
    )
    print("\n".join(diagnose_page.lines(rows)))
    if options.out:
        options.out.write_text("".join(json.dumps(row) + "\n" for row in rows))
    if options.page:
        options.page.write_text(diagnose_page.page(rows))


if __name__ == "__main__":
    main()
