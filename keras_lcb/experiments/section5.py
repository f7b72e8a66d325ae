"""Section 5: whether shallow layers fit low frequencies and deep ones high frequencies.

The paper is Chen, Yuille and Zhou, "Which Layer is Learning Faster?" (ICLR 2023); all settings
are our own choice. Beside it stands the experiment of Rahaman et al., "On the Spectral Bias of
Neural Networks" (ICML 2019): networks learn low frequencies first.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import scipy.stats
import xarray as xr

from keras_lcb.analysis.frequencies import carried
from keras_lcb.analysis.rank import RankCorrelation, rank_correlation
from keras_lcb.analysis.records import record_at
from keras_lcb.experiments.page import Page, completed, markdown
from keras_lcb.experiments.study import Results, Study
from keras_lcb.plotting.frequency_error import plot_frequency_error
from keras_lcb.plotting.frequency_maps import draw_map
from keras_lcb.synthetic import Config, share_centroid, spectral_bias_target, time_to_learn

if TYPE_CHECKING:
    from matplotlib.figure import Figure

ENGINE = "keras_lcb.synthetic:run"
# What networks are called, and the settings of each: residual, branch_scale, initializer.
PLAIN = "plain"
KINDS = {
    "residual, scaled": (True, None, "glorot_uniform"),
    "residual, unit": (True, 1.0, "glorot_uniform"),
    "residual, fan_in": (True, 1.0, "fan_in"),
    PLAIN: (False, None, "glorot_uniform"),
}
_KIND = "residual,branch_scale,initializer"
OPTIMIZERS = (("sgd", 0.02), ("momentum", 0.005), ("adam", 0.001))
HIGHER, LOWER, NO_ORDER = "deeper: higher", "deeper: lower", "no clear order"
UNDEFINED = "not defined"  # with fewer than five runs that learned two frequencies
VERDICTS = (HIGHER, LOWER, NO_ORDER, UNDEFINED)
_LEARNED = 0.5  # error at a frequency below which it counts as learned


def layers_study(quick: bool = False) -> Study:
    """Return networks of several kinds, optimisers and depths on the sum of four sines."""
    base = Config(width=16, updates=200) if quick else Config()
    grid = {
        _KIND: tuple(KINDS.values()),
        "optimizer,learning_rate": OPTIMIZERS,
        "depth": (3,) if quick else (3, 5, 8),
    }
    return Study(ENGINE, base, grid, range(2 if quick else 10))


def spectral_bias_study(quick: bool = False) -> Study:
    """Return the experiment of Rahaman et al.: six linear layers of 256, Adam on the whole grid."""
    base = Config(
        target=spectral_bias_target(0),
        depth=5,
        width=16 if quick else 256,
        residual=False,
        initializer="fan_in",
        points=200,
        batch_size=200,
        optimizer="adam",
        learning_rate=0.003 if quick else 0.0003,
        updates=200 if quick else 30_000,
        record_every=100 if quick else 300,
    )
    return Study(ENGINE, base, {"depth": (5,)}, range(2 if quick else 5))


@dataclass(frozen=True)
class Cell:
    """What was found for one kind of network, optimiser and depth.

    Attributes:
        kind: One of `KINDS`.
        optimizer: Its name.
        depth: Hidden layers.
        run: The runs, stacked along `seed`, without those that diverged.
        diverged: How many did.
        order: Rank correlation of depth with the layers' mean frequency at the end.
        energy_order: The same with the energy centroid of what the layers of residual networks
            add, leakage included; not defined for plain ones.
    """

    kind: str
    optimizer: str
    depth: int
    run: xr.Dataset
    diverged: int
    order: RankCorrelation
    energy_order: RankCorrelation

    @property
    def verdict(self) -> str:
        """Whether deeper layers have higher frequencies, by the interval of `order`."""
        if self.order.sign is None:
            return UNDEFINED
        return {1: HIGHER, -1: LOWER, 0: NO_ORDER}[self.order.sign]

    @property
    def error(self) -> xr.DataArray:
        """Mean error at each frequency at the end."""
        return self.run["frequency_error"].isel(step=-1).mean("seed")


def cells(results: Results) -> list[Cell]:
    """Return what was found, cell by cell."""
    found = []
    for choice, stacked in results.runs.items():
        settings = dict(choice)
        finite = stacked["frequency_error"].isel(step=-1).notnull().all("frequency")
        run = stacked.isel(seed=np.flatnonzero(finite.values))
        orders = _by_depth(mean_frequency(run)), _by_depth(_energy_centroid(run))
        kind = next(name for name, own in KINDS.items() if own == settings[_KIND])
        optimizer = settings["optimizer,learning_rate"][0]
        diverged = int((~finite).sum())
        found.append(Cell(kind, optimizer, settings["depth"], run, diverged, *orders))
    return found


def _by_depth(means: xr.DataArray) -> RankCorrelation:
    depth = means["depth"].values.astype(float)
    return rank_correlation([(depth, own) for own in means.transpose("seed", "layer").values])


def mean_frequency(run: xr.Dataset) -> xr.DataArray:
    """Return the mean wave number of each layer at the end, over `seed` and `layer`.

    It is the mean of the target's wave numbers: of residual networks, weighted by the layer's
    shares of those that the run has learned; of plain ones, by R², where it is positive.
    """
    if "frequency_share" in run:
        last = run.isel(step=-1)
        return share_centroid(last["frequency_share"], last["frequency_error"])
    weight = run["r2"].isel(step=-1).clip(min=0)
    own = weight.where(run["r2"].isel(step=-1).notnull().any("frequency"))
    return (own * own["frequency"]).sum("frequency") / own.sum("frequency", skipna=False)


def _energy_centroid(run: xr.Dataset) -> xr.DataArray:
    if "frequency_centroid" in run:
        return run["frequency_centroid"].isel(step=-1)
    return mean_frequency(run) * np.nan  # plain networks have no parts


def layer_table(found: list[Cell]) -> pd.DataFrame:
    """Return each layer's share (or R²) of each frequency at the end, with a 95 % interval."""
    rows = []
    for cell in found:
        quantity = "r2" if cell.kind == PLAIN else "frequency_share"
        values = cell.run[quantity].isel(step=-1).transpose("seed", "layer", "frequency")
        for layer in values["layer"].values[values.notnull().any(["seed", "frequency"]).values]:
            for k in values["frequency"].values:
                own = values.sel(layer=layer, frequency=k).values
                mean, low, high = interval(own)
                rows.append(
                    {
                        "kind": cell.kind,
                        "optimizer": cell.optimizer,
                        "depth": cell.depth,
                        "layer": str(layer),
                        "wave_number": int(k),
                        "quantity": quantity,
                        "mean": mean,
                        "low": low,
                        "high": high,
                        "seeds": len(own),
                    }
                )
    return pd.DataFrame(rows)


def verdict_table(found: list[Cell]) -> pd.DataFrame:
    """Return the rank correlation of depth with frequency and the verdict of each cell."""
    rows = []
    for cell in found:
        low, high = cell.order.spearman_interval or (np.nan, np.nan)
        errors = {
            f"error_{int(k)}": float(cell.error.sel(frequency=k)) for k in cell.error.frequency
        }
        carriers = {f"deepest_carries_{k}": deepest_carries_most(cell, k) for k in (10, 30)}
        rows.append(
            {
                "kind": cell.kind,
                "optimizer": cell.optimizer,
                "depth": cell.depth,
                "seeds": cell.run.sizes["seed"],
                "diverged": cell.diverged,
                "rank_correlation": cell.order.spearman,
                "low": low,
                "high": high,
                "verdict": cell.verdict,
                "by_energy": cell.energy_order.spearman,
                **errors,
                **carriers,
            }
        )
    return pd.DataFrame(rows)


def deepest_carries_most(cell: Cell, frequency: int) -> float:
    """Return in which fraction of the runs the deepest block has the largest share of all.

    NaN for plain networks, which have no shares.
    """
    if cell.kind == PLAIN or not cell.run.sizes["seed"]:
        return float("nan")
    share = cell.run["frequency_share"].isel(step=-1).sel(frequency=frequency)
    share = share.isel(layer=share.notnull().any("seed").values)
    return float((share.argmax("layer") == share.sizes["layer"] - 1).mean())


def interval(values: np.ndarray) -> tuple[float, float, float]:
    """Return the mean and its 95 % interval (Student's t)."""
    mean = float(np.mean(values)) if len(values) else float("nan")
    if len(values) < 2:
        return mean, float("nan"), float("nan")
    half = scipy.stats.t.ppf(0.975, len(values) - 1) * scipy.stats.sem(values)
    return mean, mean - float(half), mean + float(half)


def time_order(run: xr.Dataset) -> RankCorrelation:
    """Return the rank correlation of wave number with the time to learn it; never comes last."""
    times = time_to_learn(run["frequency_error"], _LEARNED).transpose("seed", "frequency")
    k = run["frequency"].values.astype(float)
    return rank_correlation([(k, own) for own in times.fillna(np.inf).values])


def run(
    out: str | os.PathLike[str],
    runs: str | os.PathLike[str],
    *,
    quick: bool = False,
    jobs: int | None = None,
) -> Path:
    """Run both studies and write tables, figures and the page on them.

    Args:
        out: The folder for `section5.md` and, beneath it, `section5` with figures and CSV.
        runs: The folder for all runs, from which another call goes on.
        quick: Whether to try it out in a minute, with sizes that show nothing.
        jobs: Processes at a time; see `experiments.run`.

    Returns:
        The page.

    Raises:
        OSError: If a folder cannot be written.
        ValueError: If every run of a study failed.
    """
    page = Page(out, "section5", quick)
    studies = layers_study(quick), spectral_bias_study(quick)
    layers, bias = (completed(study, runs, jobs) for study in studies)
    found = cells(layers)
    (spectral,) = bias.runs.values()
    failures = [*layers.failures, *bias.failures]
    return page.write(
        _paragraphs(page, found, spectral, studies, len(failures)),
        {
            "layers": layer_table(found),
            "verdicts": verdict_table(found),
            "spectral_bias": _times(spectral).reset_index(),
        },
        _figures(found, spectral),
        failures,
    )


def _file(kind: str) -> str:
    return kind.replace(", ", "_")


def _times(spectral: xr.Dataset) -> pd.DataFrame:
    times = time_to_learn(spectral["frequency_error"], _LEARNED).transpose("seed", "frequency")
    return times.drop_attrs().to_pandas()


def _figures(found: list[Cell], spectral: xr.Dataset) -> dict[str, Figure]:
    from matplotlib.figure import Figure

    figures = {}
    for kind in dict.fromkeys(cell.kind for cell in found):
        own = [cell for cell in found if cell.kind == kind]
        depths = sorted({cell.depth for cell in own})
        figure = Figure(figsize=(2.5 + 3.5 * len(depths), 9.5), layout="constrained")
        panels = figure.subplots(len(OPTIMIZERS), len(depths), squeeze=False)
        for cell in own:
            row = [optimizer for optimizer, _ in OPTIMIZERS].index(cell.optimizer)
            ax = panels[row, depths.index(cell.depth)]
            ax.set_title(f"{cell.optimizer}, depth {cell.depth}", loc="left")
            if cell.run.sizes["seed"]:
                values = carried(cell.run)
                draw_map(values, record_at(values.to_dataset(name="at"), None)["at"], ax)
        what = "R² of each layer" if kind == PLAIN else "Share of each frequency by layer"
        figure.suptitle(f"{what}: {kind}, mean of the seeds, at the end")
        figures[_file(kind)] = figure
    figure = Figure(figsize=(7, 4.5), layout="constrained")
    plot_frequency_error(spectral, figure.subplots())
    return figures | {"spectral_bias": figure}


def _paragraphs(
    page: Page,
    found: list[Cell],
    spectral: xr.Dataset,
    studies: tuple[Study, Study],
    failed: int,
) -> list[str]:
    layers, bias = studies
    runs = len(layers.members()) + len(bias.members())
    order = time_order(spectral)
    never = int(_times(spectral).isna().to_numpy().sum())
    return [
        *page.opening("Section 5: which layer fits which frequency", runs, failed),
        "## Verdicts",
        f"{_settings(layers.base)} For each cell: the mean over seeds of Spearman's rank "
        "correlation of a layer's depth with its mean frequency, with Student's 95 % interval. "
        "That is a mean of the target's wave numbers, weighted in residual networks by the layer's "
        "shares of those that are learned (an error below 0.5); in plain ones, which have no such "
        "parts, by how well the layer's features carry each (R²): another quantity. Beside it "
        "stands the order by the energy centroid of what the layers of residual networks add. "
        "What a layer adds does not end where it began, so that much of its energy leaks into all "
        "wave numbers (a straight line scores 4 on 512 points): where the two differ, so does the "
        "answer. "
        '"Scaled" multiplies the initial kernels of the layers that add by 1/√depth, "unit" '
        'leaves them as they are, as does "fan_in", which draws kernels and biases from ±1/√inputs '
        "as PyTorch does. A verdict needs 5 seeds in which two frequencies or more are learned, "
        "and an interval without 0.",
        markdown(_verdict_rows(found)),
        _summary(found),
        "## The trial: does the deepest block carry most of the high frequencies?",
        _trial(found),
        "## Shares by layer",
        *(
            page.picture(f"Layers and frequencies: {kind}", _file(kind))
            for kind in dict.fromkeys(cell.kind for cell in found)
        ),
        f"Means with 95 % intervals (Student's t): {page.link('layers')}; the table above with all "
        f"digits: {page.link('verdicts')}.",
        "## Low frequencies first: the experiment of Rahaman et al.",
        f"{_settings(bias.base)} Kernels and biases start as in PyTorch. "
        "Rank correlation of wave number with the updates until its error "
        f"is below {_LEARNED:g}, over {spectral.sizes['seed']} seeds: {_told(order)}. "
        + (
            f"{never} times a frequency was not learned within the updates; these count as last. "
            if never
            else ""
        )
        + f"Low frequencies first: {_low_first(order)}.",
        page.picture("Error at each frequency", "spectral_bias"),
        f"Each run's times: {page.link('spectral_bias')}.",
    ]


def _settings(config: Config) -> str:
    names = ("width", "points", "batch_size", "updates")
    return (
        ", ".join(f"{n.replace('_', ' ')} {getattr(config, n)}" for n in names).capitalize() + "."
    )


def _verdict_rows(found: list[Cell]) -> list[dict[str, object]]:
    rows = []
    for cell in found:
        errors = ", ".join(
            "–" if np.isnan(value) else f"{value:.2f}" for value in cell.error.values
        )
        frequencies = ", ".join(str(int(k)) for k in cell.error["frequency"].values)
        rows.append(
            {
                "network": cell.kind,
                "optimiser": cell.optimizer,
                "depth": cell.depth,
                "runs": f"{cell.run.sizes['seed']}"
                + (f" ({cell.diverged} diverged)" if cell.diverged else ""),
                "rank correlation": _told(cell.order),
                "by energy": _told(cell.energy_order),
                "verdict": cell.verdict,
                f"error at k = {frequencies}": errors,
            }
        )
    return rows


def _summary(found: list[Cell]) -> str:
    lines = []
    for kind in dict.fromkeys(cell.kind for cell in found):
        own = [cell for cell in found if cell.kind == kind]
        counts = {v: sum(c.verdict == v for c in own) for v in VERDICTS}
        against = [
            f"{c.optimizer} at depth {c.depth}" for c in own if c.verdict in (LOWER, NO_ORDER)
        ]
        line = (
            f"- {kind}: deeper layers have higher frequencies in {counts[HIGHER]} of {len(own)} "
            f"cells, lower in {counts[LOWER]}, no clear order in {counts[NO_ORDER]}."
        )
        if against:
            line += f" It does not hold with {'; '.join(against)}."
        if counts[UNDEFINED]:
            line += f" In {counts[UNDEFINED]}, too few runs learned two frequencies for a verdict."
        lines.append(line)
    return "\n".join(lines)


def _trial(found: list[Cell]) -> str:
    rows = []
    for cell in found:
        if cell.kind == PLAIN or cell.run.sizes["seed"] < 2:
            continue
        for k in (10, 30):
            last = cell.run["frequency_share"].isel(step=-1).sel(frequency=k)
            mean, low, high = interval(last.isel(layer=cell.depth - 1).values)
            learned = float(cell.error.sel(frequency=k))
            rows.append(
                {
                    "network": cell.kind,
                    "optimiser": cell.optimizer,
                    "depth": cell.depth,
                    "k": k,
                    "share of the deepest block": f"{mean:+.2f} [{low:+.2f}, {high:+.2f}]",
                    "largest of all in": f"{deepest_carries_most(cell, k):.0%} of runs",
                    "learned": "yes" if learned < _LEARNED else f"no (error {learned:.2f})",
                    "trial": "confirmed" if low > 0.5 else "not confirmed",
                }
            )
    confirmed = sum(row["trial"] == "confirmed" for row in rows)
    return (
        "A trial with two seeds had the deepest block carry most, more than half, of sin 10x and "
        f"sin 30x. That is confirmed (the whole interval above 0.5) in {confirmed} of {len(rows)} "
        f"cases.\n\n{markdown(rows)}"
    )


def _told(order: RankCorrelation) -> str:
    return str(order) if np.isfinite(order.spearman) else "not defined"


def _low_first(order: RankCorrelation) -> str:
    if order.sign is None:
        return "cannot be told from these runs"
    return {1: "yes", -1: "no, the reverse", 0: "not clear"}[order.sign]
