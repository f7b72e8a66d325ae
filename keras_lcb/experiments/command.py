"""What `keras-lcb run synthetic` does: one setting over several seeds, with all its results."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from keras_lcb.analysis import convergence_bias
from keras_lcb.experiments.grid import Study
from keras_lcb.experiments.running import run
from keras_lcb.report import write_report
from keras_lcb.runs.storage import save_run
from keras_lcb.synthetic import Config


def run_synthetic(
    config: Config, seeds: Sequence[int], out: str | os.PathLike[str], jobs: int | None = None
) -> None:
    """Run one setting, and write `run.nc` and `report.html`.

    Each seed's run is kept under `runs`; one that is there is not run again.

    Args:
        config: The settings; its seed is not used.
        seeds: The seeds.
        out: The folder.
        jobs: Processes at a time; see `experiments.run`.

    Raises:
        ValueError: If there is no seed, or every run failed.
        OSError: If a file cannot be written.
    """
    folder = Path(out)
    study = Study("keras_lcb.synthetic:run", config, {}, seeds)
    results = run(study, folder / "runs", jobs=1 if len(seeds) == 1 else jobs)
    for member, error in results.failures:
        print(f"Seed {member.seed} failed: {error}")
    if not results.runs:
        raise ValueError(f"No run succeeded; see the errors in '{folder / 'runs'}'.")
    (found,) = results.runs.values()
    found = found.isel(seed=0, drop=True) if found.sizes["seed"] == 1 else found
    save_run(found, folder / "run.nc")
    write_report(found, folder / "report.html", title="A network on a function of one variable")
    print(convergence_bias(found))
    print(f"Written: {folder / 'report.html'} and {folder / 'run.nc'}")
