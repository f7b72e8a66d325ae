"""Section 3: whether layers with large gradients converge fast.

The paper, Chen, Yuille and Zhou, "Which Layer is Learning Faster?" (ICLR 2023), claims that they
do not reliably. All settings are our own choice.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import xarray as xr

from keras_lcb.analysis import convergence_rate
from keras_lcb.analysis.compared import compared_layers, single_runs
from keras_lcb.analysis.gradients import gradient_rate_correlation, rms_over_run
from keras_lcb.analysis.rank import RankCorrelation, rank_correlation
from keras_lcb.experiments.networks import (
    KINDS,
    NETWORKS,
    OPTIMIZERS,
    WINDOWS,
    Window,
    base,
    described,
    retitle,
)
from keras_lcb.experiments.page import Page, completed, markdown
from keras_lcb.experiments.study import Results, Study
from keras_lcb.plotting.rate_vs_gradient import plot_rate_vs_gradient

if TYPE_CHECKING:
    from matplotlib.figure import Figure

ENGINES = {"function": "keras_lcb.synthetic:run", "digits": "keras_lcb.vision:run"}
POSITIVE = "positive: contradicts"
NEGATIVE, NONE = "negative: consistent", "none clear: consistent"
UNDEFINED = "not defined"
WHOLE = "whole run"


def studies(quick: bool = False) -> dict[str, Study]:
    """Return both kinds of networks, plain and residual, with three optimisers, over seeds."""
    return {
        network: Study(
            ENGINES[network],
            base(network, quick),
            {
                "residual": tuple(KINDS.values()),
                "optimizer,learning_rate": OPTIMIZERS[network],
            },
            range(2 if quick else 5),
        )
        for network in NETWORKS
    }


@dataclass(frozen=True)
class Cell:
    """What was found for one kind of network and optimiser.

    Attributes:
        network: One of `NETWORKS`.
        kind: One of `KINDS`.
        optimizer: Its name.
        run: The runs, stacked along `seed`, without those that diverged.
        diverged: How many did.
        correlations: Rank correlation of gradient norm with speed, for the whole run and in each
            window.
    """

    network: str
    kind: str
    optimizer: str
    run: xr.Dataset
    diverged: int
    correlations: dict[str, RankCorrelation]


def cells(network: str, results: Results) -> list[Cell]:
    """Return what was found of a network, cell by cell."""
    found = []
    for choice, stacked in results.runs.items():
        settings = dict(choice)
        distance = stacked["distance"].transpose("seed", "step", "layer").values
        finite = np.isfinite(distance).all(axis=(1, 2))
        run = stacked.isel(seed=np.flatnonzero(finite))
        kind = next(name for name, own in KINDS.items() if own == settings["residual"])
        optimizer = settings["optimizer,learning_rate"][0]
        diverged = int((~finite).sum())
        found.append(Cell(network, kind, optimizer, run, diverged, correlations(run)))
    return found


def correlations(run: xr.Dataset) -> dict[str, RankCorrelation]:
    """Return how gradient norms and speeds go together over hidden layers, run by run.

    Over the whole run the speed is the reciprocal of the time to half the distance. Within a
    window it is the convergence rate of Definition 2.1, and the gradient norm the RMS over the
    updates of that window.
    """
    if not run.sizes["seed"]:
        return {}
    windows = {window.name: _within(run, window) for window in WINDOWS}
    return {WHOLE: gradient_rate_correlation(run), **windows}


def _within(run: xr.Dataset, window: Window) -> RankCorrelation:
    steps = run["step"].values
    start, stop = (_nearest(steps, part * steps[-1]) for part in (window.start, window.stop))
    single = single_runs(run)
    layers, _ = compared_layers(single, ("hidden",))
    pairs = []
    for one in single:
        own = one.sel(layer=layers)
        norms = rms_over_run(own.sel(step=slice(start, stop)), "gradient_norm").values
        pairs.append((norms, convergence_rate(own, start, stop).values))
    return rank_correlation(pairs)


def _nearest(steps: np.ndarray, update: float) -> int:
    return int(steps[np.argmin(abs(steps - update))])


def verdict(correlation: RankCorrelation) -> str:
    """Return what an interval says of the claim that there is no reliable positive correlation."""
    if correlation.sign is None:
        return UNDEFINED
    return {1: POSITIVE, -1: NEGATIVE, 0: NONE}[correlation.sign]


def table(found: list[Cell]) -> pd.DataFrame:
    """Return the correlation and verdict of each cell, over the whole run and each window."""
    rows = []
    for cell in found:
        for part, correlation in cell.correlations.items():
            low, high = correlation.spearman_interval or (np.nan, np.nan)
            rows.append(
                {
                    "network": cell.network,
                    "kind": cell.kind,
                    "optimizer": cell.optimizer,
                    "part": part,
                    "seeds": cell.run.sizes["seed"],
                    "diverged": cell.diverged,
                    "rank_correlation": correlation.spearman,
                    "low": low,
                    "high": high,
                    "verdict": verdict(correlation),
                }
            )
    return pd.DataFrame(rows)


def run(
    out: str | os.PathLike[str],
    runs: str | os.PathLike[str],
    *,
    quick: bool = False,
    jobs: int | None = None,
) -> Path:
    """Run both studies and write the table, the scatters and the page on them.

    Args:
        out: The folder for `section3.md` and, beneath it, `section3` with figures and CSV.
        runs: The folder for all runs, from which another call goes on.
        quick: Whether to try it out in a minute or two, with sizes that show nothing.
        jobs: Processes at a time; see `experiments.run`.

    Returns:
        The page.

    Raises:
        OSError: If a folder cannot be written.
        ValueError: If every run of a study failed.
    """
    page = Page(out, "section3", quick)
    found, failures = [], []
    for network, study in studies(quick).items():
        results = completed(study, runs, jobs)
        found += cells(network, results)
        failures += results.failures
    return page.write(
        _paragraphs(page, found, len(failures)),
        {"correlations": table(found)},
        figures(found),
        failures,
    )


def figures(found: list[Cell]) -> dict[str, Figure]:
    """Return a scatter of speed against gradient norm for each cell, a figure a network."""
    from matplotlib.figure import Figure

    drawn = {}
    for network in dict.fromkeys(cell.network for cell in found):
        own = [cell for cell in found if cell.network == network]
        figure = Figure(figsize=(15, 9), layout="constrained")
        panels = figure.subplots(len(KINDS), len(OPTIMIZERS[network]), squeeze=False)
        names = [optimizer for optimizer, _ in OPTIMIZERS[network]]
        for cell in own:
            ax = panels[list(KINDS).index(cell.kind), names.index(cell.optimizer)]
            if cell.run.sizes["seed"]:
                plot_rate_vs_gradient(cell.run, ax)
                retitle(ax, f"{cell.kind}, {cell.optimizer}")
        figure.suptitle(f"Speed of convergence against gradient norm: {network}")
        drawn[network] = figure
    return drawn


def _paragraphs(page: Page, found: list[Cell], failed: int) -> list[str]:
    runs = sum(cell.run.sizes["seed"] + cell.diverged for cell in found) + failed
    windows = ", ".join(f"{w.name} {w.start:.0%} to {w.stop:.0%} of the updates" for w in WINDOWS)
    return [
        *page.opening("Section 3: do layers with large gradients converge fast?", runs, failed),
        "The claim: gradient norm and speed of convergence have no reliable positive correlation "
        "over layers. What contradicts it is a correlation that is positive in all likelihood.",
        "## Verdicts",
        "Spearman's rank correlation over the hidden layers of RMS gradient norm with speed, mean "
        "over seeds, with Student's 95 % interval over seeds. Over the whole run the speed is "
        "1 / updates to half the distance; in a part of it, the convergence rate of Definition "
        f"2.1 between its ends ({windows}). A verdict needs 5 seeds, and one other than none clear "
        "an interval without 0. Distances are to where each run ended, so that late rates say "
        "least.",
        markdown(_rows(found)),
        _summary(found),
        f"All digits: {page.link('correlations')}.",
        "## Layer by layer",
        *(
            f"{described(network, page.quick)}\n\n{page.picture(network, network)}"
            for network in dict.fromkeys(cell.network for cell in found)
        ),
        "Large points are means over seeds, small ones single runs; hollow ones are other layers "
        "than hidden ones, and not compared. A layer that never came half way has speed 0.",
    ]


def _rows(found: list[Cell]) -> list[dict[str, str]]:
    rows = []
    for cell in found:
        row = {"network": cell.network, "kind": cell.kind, "optimiser": cell.optimizer}
        row["runs"] = f"{cell.run.sizes['seed']}" + (
            f" ({cell.diverged} diverged)" if cell.diverged else ""
        )
        for part in (WHOLE, *(window.name for window in WINDOWS)):
            correlation = cell.correlations.get(part)
            row[part] = (
                "not defined"
                if correlation is None or np.isnan(correlation.spearman)
                else f"{correlation} {verdict(correlation)}"
            )
        rows.append(row)
    return rows


def _summary(found: list[Cell]) -> str:
    lines = []
    for part in (WHOLE, *(window.name for window in WINDOWS)):
        told = [(cell, verdict(cell.correlations[part])) for cell in found if cell.correlations]
        counts = {name: sum(v == name for _, v in told) for name in (POSITIVE, NEGATIVE, NONE)}
        against = [
            f"{cell.network}, {cell.kind}, {cell.optimizer}" for cell, v in told if v == POSITIVE
        ]
        lines.append(
            f"- {part}: positive in {counts[POSITIVE]} of {len(told)} cells, negative in "
            f"{counts[NEGATIVE]}, none clear in {counts[NONE]}."
            + (f" The claim does not hold for {'; '.join(against)}." if against else "")
        )
    return "\n".join(lines)
