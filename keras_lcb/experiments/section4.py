"""Section 4: whether shallow layers sit on flatter ground, and bear larger learning rates.

The paper, Chen, Yuille and Zhou, "Which Layer is Learning Faster?" (ICLR 2023), claims that the
landscape around shallow layers is flatter, that their gradients are more predictive, and that
they bear larger learning rates. All settings are our own choice.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import xarray as xr

from keras_lcb.analysis.rank import RankCorrelation, rank_correlation
from keras_lcb.experiments.landscape_probe import (
    HALF,
    MOMENTS,
    QUANTITIES,
    STEP_SIZE,
    Config,
    at_moment,
)
from keras_lcb.experiments.networks import KINDS, NETWORKS, OPTIMIZERS, described, retitle
from keras_lcb.experiments.page import Page, completed, markdown
from keras_lcb.experiments.study import Results, Study
from keras_lcb.plotting.stable_rates import plot_stable_rates

if TYPE_CHECKING:
    from matplotlib.figure import Figure

ENGINE = "keras_lcb.experiments.landscape_probe:run"
SUPPORTS, CONTRADICTS, NONE, UNDEFINED = "supports", "contradicts", "no clear order", "not defined"
VERDICTS = (SUPPORTS, CONTRADICTS, NONE, UNDEFINED)
MEANINGS = {
    "relative_gradient_change": f"‖Δg‖ / ‖g‖ after a step of {STEP_SIZE:g} along the gradient",
    "gradient_change": f"‖Δg‖ after a step of {STEP_SIZE:g}; it grows with the gradient itself",
    "smoothness": "largest ‖Δg‖ / (η‖g‖) over steps of 0.001 to 0.1",
    "eigenvalue": "largest eigenvalue of the layer's block of the Hessian",
    "eigenvalue_per_parameter": "the same times the mean square of the layer's parameters, which "
    "rescaling it does not change, nor its size by itself",
    "filter_curvature": "mean second derivative along random directions scaled to the filters",
    "trace": "trace of the block",
    "slice_rise": f"rise of the loss {HALF:g} filter norms away, in random directions",
    "stable_learning_rate": "largest learning rate at which the layer, moved alone, descends",
}


def study(quick: bool = False) -> Study:
    """Return both kinds of networks, plain and residual, with three optimisers, over seeds."""
    trained = tuple(
        (network, optimizer, rate)
        for network in NETWORKS
        for optimizer, rate in (OPTIMIZERS[network][:1] if quick else OPTIMIZERS[network])
    )
    base = Config(samples=64, steps=5, tolerance=0.5, quick=True) if quick else Config()
    grid = {"network,optimizer,learning_rate": trained, "residual": tuple(KINDS.values())}
    return Study(ENGINE, base, grid, range(2 if quick else 5))


@dataclass(frozen=True)
class Cell:
    """What was found for one kind of network and optimiser.

    Attributes:
        network: One of `NETWORKS`.
        kind: One of `KINDS`.
        optimizer: Its name.
        run: The runs, stacked along `seed`.
        orders: Rank correlation of depth with each quantity, by (quantity, moment).
        without_first: The same without the first layer, which has another number of inputs than
            the others.
    """

    network: str
    kind: str
    optimizer: str
    run: xr.Dataset
    orders: dict[tuple[str, str], RankCorrelation]
    without_first: dict[tuple[str, str], RankCorrelation]


def cells(results: Results) -> list[Cell]:
    """Return what was found, cell by cell."""
    found = []
    for choice, stacked in results.runs.items():
        settings = dict(choice)
        network, optimizer, _ = settings["network,optimizer,learning_rate"]
        kind = next(name for name, own in KINDS.items() if own == settings["residual"])
        values = {
            (name, moment): at_moment(stacked, name, moment)
            for name in QUANTITIES
            for moment in MOMENTS
        }
        orders = {key: depth_order(own) for key, own in values.items()}
        without_first = {key: depth_order(own, first=1) for key, own in values.items()}
        found.append(Cell(network, kind, optimizer, stacked, orders, without_first))
    return found


def depth_order(values: xr.DataArray, first: int = 0) -> RankCorrelation:
    """Return how a quantity goes with depth over the hidden layers from one on, run by run."""
    hidden = values.isel(layer=np.flatnonzero(values["role"].values == "hidden")[first:])
    depth = hidden["depth"].values.astype(float)
    return rank_correlation([(depth, own) for own in hidden.transpose("seed", "layer").values])


def verdict(name: str, order: RankCorrelation) -> str:
    """Return what an interval says of the claim about a quantity."""
    if order.sign is None:
        return UNDEFINED
    return {1: SUPPORTS, -1: CONTRADICTS, 0: NONE}[QUANTITIES[name] * order.sign]


def table(found: list[Cell]) -> pd.DataFrame:
    """Return the correlation with depth and the verdict of each cell, quantity and moment."""
    rows = []
    for cell in found:
        for (name, moment), order in cell.orders.items():
            low, high = order.spearman_interval or (np.nan, np.nan)
            rows.append(
                {
                    "network": cell.network,
                    "kind": cell.kind,
                    "optimizer": cell.optimizer,
                    "quantity": name,
                    "moment": moment,
                    "seeds": int(np.isfinite(order.spearman_of_runs).sum()),
                    "rank_correlation": order.spearman,
                    "low": low,
                    "high": high,
                    "claimed": "+" if QUANTITIES[name] > 0 else "-",
                    "verdict": verdict(name, order),
                    "without_first": cell.without_first[name, moment].spearman,
                    "verdict_without_first": verdict(name, cell.without_first[name, moment]),
                }
            )
    return pd.DataFrame(rows)


def layer_table(found: list[Cell]) -> pd.DataFrame:
    """Return each layer's median over seeds of each quantity, at each moment."""
    rows = []
    for cell in found:
        for moment in MOMENTS:
            medians = {
                name: at_moment(cell.run, name, moment).median("seed").values
                for name in (*QUANTITIES, "theory", "residual")
            }
            for place, layer in enumerate(cell.run["layer"].values):
                own = {name: values[place] for name, values in medians.items()}
                where = {"network": cell.network, "kind": cell.kind, "optimizer": cell.optimizer}
                rows.append({**where, "moment": moment, "layer": str(layer), **own})
    return pd.DataFrame(rows)


def rate_over_theory(found: list[Cell], moment: str) -> np.ndarray:
    """Return all stable rates, hidden layers and runs alike, relative to 2 / λ_max."""
    ratios = [
        at_moment(cell.run, "stable_learning_rate", moment) / at_moment(cell.run, "theory", moment)
        for cell in found
    ]
    hidden = [own.isel(layer=np.flatnonzero(own["role"].values == "hidden")) for own in ratios]
    together = np.concatenate([own.values.ravel() for own in hidden])
    return together[np.isfinite(together)]


def run(
    out: str | os.PathLike[str],
    runs: str | os.PathLike[str],
    *,
    quick: bool = False,
    jobs: int | None = None,
) -> Path:
    """Run the study and write tables, figures and the page on them.

    Args:
        out: The folder for `section4.md` and, beneath it, `section4` with figures and CSV.
        runs: The folder for all runs, from which another call goes on.
        quick: Whether to try it out in some minutes, with sizes that show nothing.
        jobs: Processes at a time; see `experiments.run`.

    Returns:
        The page.

    Raises:
        OSError: If a folder cannot be written.
        ValueError: If every run failed.
    """
    page = Page(out, "section4", quick)
    results = completed(study(quick), runs, jobs)
    found = cells(results)
    return page.write(
        _paragraphs(page, found, len(results.failures)),
        {"verdicts": table(found), "layers": layer_table(found)},
        figures(found),
        results.failures,
    )


def figures(found: list[Cell]) -> dict[str, Figure]:
    """Return the map of all correlations, and stable rates by layer, a figure a network."""
    drawn = {"correlations": _map(found)}
    for network in dict.fromkeys(cell.network for cell in found):
        drawn[f"stable_rates_{network}"] = _rates([c for c in found if c.network == network])
    return drawn


def _map(found: list[Cell]) -> Figure:
    """Correlations, signed so that what the claim says is positive."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(15, 3 + 0.42 * len(found)), layout="constrained")
    panels = figure.subplots(1, len(MOMENTS), sharey=True)
    for ax, moment in zip(panels, MOMENTS, strict=True):
        signed = np.array(
            [
                [sign * c.orders[name, moment].spearman for name, sign in QUANTITIES.items()]
                for c in found
            ]
        )
        image = ax.imshow(signed, cmap="PuOr", vmin=-1, vmax=1, aspect="auto")
        for row, cell in enumerate(found):
            for column, name in enumerate(QUANTITIES):
                clear = verdict(name, cell.orders[name, moment]) in (SUPPORTS, CONTRADICTS)
                if np.isfinite(signed[row, column]):
                    ax.text(
                        column,
                        row,
                        f"{signed[row, column]:+.1f}",
                        ha="center",
                        va="center",
                        fontsize="small",
                        fontweight="bold" if clear else "normal",
                        color="white" if abs(signed[row, column]) > 0.7 else "black",
                    )
        ax.set_xticks(range(len(QUANTITIES)), list(QUANTITIES), rotation=40, ha="right")
        ax.set_title(moment, loc="left")
    names = [f"{cell.network}, {cell.kind}, {cell.optimizer}" for cell in found]
    panels[0].set_yticks(range(len(found)), names)
    figure.colorbar(image, ax=panels, label="rank correlation (+1: as claimed)")
    figure.suptitle("Bold: the interval over seeds leaves 0 out")
    return figure


def _rates(found: list[Cell]) -> Figure:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(15, 3.6 * len(found)), layout="constrained")
    panels = figure.subplots(len(found), len(MOMENTS), squeeze=False, sharey="row")
    for row, cell in zip(panels, found, strict=True):
        for ax, moment in zip(row, MOMENTS, strict=True):
            own = xr.Dataset(
                {
                    "learning_rate": at_moment(cell.run, "stable_learning_rate", moment),
                    "theory": at_moment(cell.run, "theory", moment),
                }
            )
            plot_stable_rates(own, ax)
            retitle(ax, f"{cell.kind}, {cell.optimizer}, {moment}")
    return figure


def _paragraphs(page: Page, found: list[Cell], failed: int) -> list[str]:
    runs = sum(cell.run.sizes["seed"] for cell in found) + failed
    config = study(page.quick).base
    moments = ", ".join(f"{name} at {part:.0%}" for name, part in MOMENTS.items())
    return [
        *page.opening("Section 4: do shallow layers sit on flatter ground?", runs, failed),
        "The claim: around shallow layers the loss is flatter, their gradients predict better, and "
        "they bear larger learning rates. So each quantity but the last should rise with depth, "
        "and the last fall:",
        "\n".join(f"- `{name}`: {meaning}" for name, meaning in MEANINGS.items()),
        " ".join(described(network, page.quick) for network in NETWORKS)
        + f" Measured in evaluation mode on {config.samples} samples (points of the function, "
        f"held-out images of the digits), {moments} of the updates. "
        f"Stable rates: {config.steps} steps of full-batch descent, found to within "
        f"{config.tolerance:.0%}.",
        "## Verdicts",
        "Spearman's rank correlation of depth with each quantity over the hidden layers, mean over "
        "seeds, with Student's 95 % interval over seeds. A verdict needs 5 seeds, and one for or "
        "against an interval without 0. Counted in cells (network, kind, optimiser), in brackets "
        "without the first layer, which has another number of inputs than the others:",
        markdown(_counts(found)),
        _against(found),
        page.picture("All correlations", "correlations"),
        f"All digits: {page.link('verdicts')}; each layer's medians: {page.link('layers')}.",
        "## Learning rates and 2 / λ_max",
        _theory(found),
        *(
            page.picture(f"Stable rates: {network}", f"stable_rates_{network}")
            for network in dict.fromkeys(cell.network for cell in found)
        ),
    ]


def _counts(found: list[Cell]) -> list[dict[str, str]]:
    rows = []
    for name in QUANTITIES:
        for moment in MOMENTS:
            told = [verdict(name, cell.orders[name, moment]) for cell in found]
            others = [verdict(name, cell.without_first[name, moment]) for cell in found]
            counts = {kind: f"{told.count(kind)} ({others.count(kind)})" for kind in VERDICTS}
            rows.append({"quantity": name, "moment": moment, **counts, "of": str(len(told))})
    return rows


def _against(found: list[Cell]) -> str:
    lines = []
    for name in QUANTITIES:
        cases = [
            f"{cell.network}, {cell.kind}, {cell.optimizer}, {moment} ({cell.orders[name, moment]})"
            for cell in found
            for moment in MOMENTS
            if verdict(name, cell.orders[name, moment]) == CONTRADICTS
        ]
        lines.append(f"- {name}: " + ("; ".join(cases) if cases else "nowhere") + ".")
    return "Where the order is clearly the reverse of what is claimed:\n\n" + "\n".join(lines)


def _theory(found: list[Cell]) -> str:
    lines = []
    for moment in MOMENTS:
        ratios = rate_over_theory(found, moment)
        if ratios.size:
            low, middle, high = np.percentile(ratios, [10, 50, 90])
            lines.append(
                f"- {moment}: the largest stable rate is {middle:.2f} times 2 / λ_max in the "
                f"median over layers and runs, {low:.2f} to {high:.2f} in the middle 80 %."
            )
    return "\n".join(lines) if lines else "No rate could be compared with theory."
