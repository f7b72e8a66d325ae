"""What the numbers of a run do not say, as far as it concerns this run."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from keras_lcb.analysis.records import first_nonfinite_update
from keras_lcb.runs import schema

if TYPE_CHECKING:
    import xarray as xr

# A loss that changed by less than this over the last quarter of training counts as settled.
_SETTLED = 0.05


def notices(run: xr.Dataset) -> list[str]:
    """Return what a reader has to know before any number, in sentences."""
    found = []
    if run.attrs.get("provisional"):
        newest = ", and distances are measured to the newest weights, not the converged ones"
        from_training = run.attrs.get("reference", "final") in ("final", "model")
        found.append(
            "This run is provisional: training was not over when it was recorded"
            f"{newest if from_training else ''}."
        )
    first = first_nonfinite_update(run)
    if first is not None:
        count = int(run.attrs.get("nonfinite_updates", 0))
        many = f" ({count:,} such {'update' if count == 1 else 'updates'})" if count else ""
        found.append(
            f"NaN or infinity began at update {first:,}{many}. What was recorded before is kept "
            "and stands; what came after it says nothing."
        )
    if run.attrs.get("skipped_updates"):
        found.append(
            f"{int(run.attrs['skipped_updates']):,} updates were skipped by the loss scaler, since "
            "their gradients were not finite; they count in no figure."
        )
    return found


def caveats(run: xr.Dataset) -> list[str]:
    """Return what does not follow from the numbers of this run, in sentences."""
    return [
        sentence
        for about in (_seeds, _endpoint, _training, _layers, _gradients, _sketch, _missing)
        for sentence in about(run)
    ]


def _seeds(run: xr.Dataset) -> list[str]:
    if run.sizes.get("seed", 1) > 1:
        return []
    return [
        "This is one run. Another seed, another data set or another network may order the layers "
        "differently."
    ]


def _endpoint(run: xr.Dataset) -> list[str]:
    if "normalized_distance" not in run:
        return []
    sentences = []
    if run.attrs.get("reference", "final") == "final":
        sentences.append(
            "Distances are measured to the weights after the last update. Every layer therefore "
            "arrives at 0, and its convergence rate over the whole run is 1 / updates by "
            "construction, the same for all. Only what happens on the way tells layers apart: "
            "the time to half, the area under the curve, rates over a part of the run."
        )
    sentences.append(
        "The point of convergence is a choice, and it need not exist: weights may drift on after "
        "the loss has settled. Measure to another one (reference=… of LayerConvergence) and see "
        "whether the order of the layers stays."
    )
    sentences.append(
        "A layer that is far from its end need not matter for the loss, and one that is near may."
    )
    return sentences


def _training(run: xr.Dataset) -> list[str]:
    sentences = []
    rates = _finite(run, "learning_rate")
    if len(rates) and rates[-1] < rates.max():
        sentences.append(
            f"The learning rate fell from {rates.max():.3g} to {rates[-1]:.3g}. Small steps make "
            "any layer look converged."
        )
    losses = _finite(run, "loss")
    if len(losses) >= 8:
        before, after = np.split(losses[-(len(losses) // 4) * 2 :], 2)
        change = after.mean() / before.mean() - 1
        if abs(change) > _SETTLED:
            verb = "fell" if change < 0 else "rose"
            sentences.append(
                f"The loss had not settled: it {verb} by {abs(change):.0%} from the third quarter "
                "of training to the fourth. The layers would have moved on."
            )
    return sentences


def _layers(run: xr.Dataset) -> list[str]:
    if "role" not in run.coords or "normalization" not in run["role"].values:
        return []
    return [
        "Normalisation makes the scale of the weights before it arbitrary: they may grow without "
        "any change of the function, and distances then mislead. Compare the angle, which does "
        "not depend on scale."
    ]


def _gradients(run: xr.Dataset) -> list[str]:
    if "gradient_norm" not in run:
        return []
    return [
        "Gradient norms are taken before clipping and grow with the number of parameters. A "
        "correlation with the speed of convergence over a handful of layers is no cause."
    ]


def _sketch(run: xr.Dataset) -> list[str]:
    if "distance_standard_error" not in run:
        return []
    error = run["distance_standard_error"] / run["distance"].where(run["distance"] > 0)
    return [
        f"Distances are estimates from sketches, with a standard error of up to "
        f"{float(error.max()):.1%}. Layers closer to each other than that are not in order."
    ]


def _missing(run: xr.Dataset) -> list[str]:
    """Return why quantities are missing, layers with the same reason together."""
    layers: dict[tuple[str, str], list[str]] = {}
    for what, why in schema.missing(run).items():
        quantity, _, layer = what.partition("/")
        layers.setdefault((quantity, why), []).append(layer)
    return [
        f"{' of '.join(filter(None, [_sentence_case(quantity), ', '.join(named)]))}: {why}"
        for (quantity, why), named in layers.items()
    ]


def _sentence_case(name: str) -> str:
    return name.replace("_", " ").capitalize()


def _finite(run: xr.Dataset, name: str) -> np.ndarray:
    """Return the finite values of a quantity along training, averaged over seeds."""
    if name not in run or "step" not in run[name].dims:
        return np.empty(0)
    values = run[name].mean([dim for dim in run[name].dims if dim != "step"]).values
    return values[np.isfinite(values)]
