"""Measures how often `diagnose` finds planted faults, and how often it finds faults in sound runs.

python -m benchmarks.diagnose [--runs FOLDER] [--seeds 10] [--only FAULT ...] [--tune] [--quick]

The program trains small networks with a known fault, and sound ones. For each rule, it prints

- found: the share of the trainings with this fault in which the rule finds it;
- false: the share of the sound trainings in which the rule finds its fault;
- mended: the share of the trainings with a finding that reach a lower loss when they are repeated
  with the first advice.

Each run is written to FOLDER as soon as it ends. So an interrupted benchmark continues, and rules
can be changed without training again. `--tune` uses the networks and seeds on which the thresholds
were tuned. They are different from those of the reported table. `--stored` trains nothing.
"""

from __future__ import annotations

import argparse
import dataclasses
import itertools
import math
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import tqdm
import xarray as xr

from benchmarks.planted.faults import FAULTS, REPORTED, TUNED, healthy, sound
from benchmarks.planted.remedies import mended
from benchmarks.planted.setting import Setting
from benchmarks.planted.training import trained
from keras_lcb.diagnosis import diagnose

OPTIMIZERS = ("momentum", "adam")
HEALTHY_SEEDS = 5
TUNING_SEED = 1000


@dataclasses.dataclass
class Count:
    """Counts how often something happened, and how often it could have happened."""

    times: int = 0
    of: int = 0

    def add(self, happened: bool) -> None:
        self.times += happened
        self.of += 1

    def __str__(self) -> str:
        return f"{100 * self.times / self.of:3.0f} % of {self.of}" if self.of else "-"


@dataclasses.dataclass
class Table:
    """The counts that are printed.

    Attributes:
        found: Trainings in which the planted fault was found, by fault, network and optimizer.
        mended: Trainings that the first advice improved, by fault.
        false: Sound trainings in which a fault was found, by fault.
        beside: The number of all findings in trainings with a planted fault, by that fault.
    """

    found: dict[tuple[str, str, str], Count]
    mended: dict[str, Count]
    false: dict[str, Count]
    beside: dict[str, Counter[str]]


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


def measure(
    runs: Runs,
    bases: dict[str, Setting],
    faults: Sequence[str],
    seeds: Sequence[int],
    healthy_seeds: Sequence[int],
    optimizers: Sequence[str] = OPTIMIZERS,
    remedies: bool = True,
) -> Table:
    """Diagnoses every run, and repeats trainings with a finding with the first advice."""
    table = Table({}, {}, {}, {})
    cells = list(itertools.product(faults, bases, optimizers))
    for cell in tqdm.tqdm(cells, unit=" faults"):
        fault, network, optimizer = cell
        planted = FAULTS[fault](sound(bases[network], optimizer))
        _count_faults(cell, [planted.but(seed=seed) for seed in seeds], runs, table, remedies)
    for network, optimizer in tqdm.tqdm(list(itertools.product(bases, optimizers)), unit=" sound"):
        for setting in healthy(bases[network], optimizer):
            _count_sound([setting.but(seed=seed) for seed in healthy_seeds], runs, table)
    return table


def _count_faults(
    cell: tuple[str, str, str], settings: Sequence[Setting], runs: Runs, table: Table, mend: bool
) -> None:
    """Counts the trainings in which a planted fault is found, and those that advice improves."""
    fault, count = cell[0], table.found.setdefault(cell, Count())
    follow: list[tuple[float, Setting]] = []
    for setting, run in runs.of(settings):
        findings = diagnose(run)
        count.add(fault in findings.names)
        table.beside.setdefault(fault, Counter()).update(findings.names)
        own = [finding for finding in findings if finding.name == fault]
        better = mended(setting, own[0]) if own and mend else None
        if better is not None:
            follow.append((run.attrs["reached"], better))
    for reached, better in follow:
        for _, run in runs.of([better]):
            table.mended.setdefault(fault, Count()).add(run.attrs["reached"] < reached)


def _count_sound(settings: Sequence[Setting], runs: Runs, table: Table) -> None:
    """Counts the findings in sound trainings."""
    for _, run in runs.of(settings):
        names = diagnose(run).names
        for fault in FAULTS:
            table.false.setdefault(fault, Count()).add(fault in names)
        table.false.setdefault("any", Count()).add(bool(names))


def lines(table: Table) -> Iterator[str]:
    """Yields the lines of the table."""
    pairs = sorted({cell[1:] for cell in table.found})
    yield (
        f"{'':24}" + "".join(f"{' '.join(pair):>22}" for pair in pairs) + "   sound: false   mended"
    )
    for fault in dict.fromkeys(cell[0] for cell in table.found):
        cells = "".join(f"{str(table.found[fault, *pair]):>22}" for pair in pairs)
        false, better = table.false.get(fault, Count()), table.mended.get(fault, Count())
        yield f"{fault:24}{cells}{str(false):>16}{str(better):>12}"
    yield f"any finding in a sound training: {table.false.get('any', Count())}"
    yield ""
    for fault, names in table.beside.items():
        told = ", ".join(f"{name} {count}" for name, count in names.most_common() if name != fault)
        yield f"also found with {fault}: {told or 'nothing'}"


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
        "--no-remedies", action="store_true", help="do not repeat trainings with the advice"
    )
    options = parser.parse_args()
    bases = TUNED if options.tune else REPORTED
    first = TUNING_SEED if options.tune else 0
    seeds, of_sound = options.seeds, math.ceil(options.seeds * HEALTHY_SEEDS / 10)
    if options.quick:
        bases, seeds, of_sound = {"mlp": REPORTED["mlp"]}, 2, 1
    table = measure(
        Runs(options.runs, train=not options.stored),
        bases,
        options.only,
        range(first, first + seeds),
        range(first, first + of_sound),
        remedies=not options.no_remedies,
    )
    print("\n".join(lines(table)))


if __name__ == "__main__":
    main()
