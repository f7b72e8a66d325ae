"""What must not be concluded from the numbers of a run."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING

import numpy as np

from keras_lcb.analysis.records import first_nonfinite_update
from keras_lcb.runs import schema

if TYPE_CHECKING:
    import xarray as xr

# A loss that changed by less than this over the last quarter of training counts as settled.
_SETTLED = 0.05
# A learning rate that ends above this share of its largest value has not fallen.
_FELL = 0.95


def notices(run: xr.Dataset, found_too: Collection[str] = ()) -> list[str]:
    """Returns sentences that a reader must know before reading any number.

    Args:
        run: The run.
        found_too: The names of the findings that stand beside these sentences, and are not told
            twice.
    """
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
        began = "" if "not finite" in found_too else f"NaN or infinity began at update {first:,}. "
        count = int(run.attrs.get("nonfinite_updates", 0))
        many = f"{count:,} update{'' if count == 1 else 's'} had such values. " if count else ""
        found.append(f"{began}{many}Records before update {first:,} are valid; later ones are not.")
    if run.attrs.get("skipped_updates") and "skipped steps" not in found_too:
        skipped = int(run.attrs["skipped_updates"])
        many = "1 update, since its" if skipped == 1 else f"{skipped:,} updates, since their"
        found.append(
            f"The loss scaler skipped {many} gradients were not finite. "
            f"{'It does' if skipped == 1 else 'They do'} not count in any figure."
        )
    return found


def caveats(run: xr.Dataset) -> list[str]:
    """Returns sentences about what does not follow from the numbers of this run."""
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
            "Distances are measured to the weights after the last update. Therefore every layer "
            "arrives at 0, and its convergence rate over the whole run is 1 / updates, the same "
            "for all layers. Layers differ only in how they get there: in the time to half, the "
            "area under the curve, and the rates over parts of the run."
        )
    sentences.append(
        "The endpoint is a choice, and weights may drift on after the loss has settled. Measure "
        "the distance to another endpoint (reference=… of LayerConvergence), and see whether the "
        "order of the layers stays the same."
    )
    sentences.append(
        "A large distance does not mean that the layer still matters for the loss, and a small "
        "distance does not mean that it no longer does."
    )
    return sentences


def _training(run: xr.Dataset) -> list[str]:
    sentences = []
    rates = _finite(run, "learning_rate")
    if len(rates) and rates[-1] < _FELL * rates.max():
        sentences.append(
            f"The learning rate fell from {rates.max():.3g} to {rates[-1]:.3g}. With small steps, "
            "every layer seems to have converged."
        )
    losses = _finite(run, "loss")
    if len(losses) >= 8:
        before, after = np.split(losses[-(len(losses) // 4) * 2 :], 2)
        change, size = after.mean() - before.mean(), abs(before.mean())
        if abs(change) > _SETTLED * size > 0:
            changed = f"{'fell' if change < 0 else 'rose'} by {abs(change) / size:.0%}"
            sentences.append(
                f"The loss had not settled: it {changed} from the third quarter of training to the "
                "fourth. With more training, the layers would have moved on."
            )
    return sentences


def _layers(run: xr.Dataset) -> list[str]:
    if "role" not in run.coords or "normalization" not in run["role"].values:
        return []
    return [
        "Normalization makes the scale of the weights before it arbitrary. They may grow although "
        "the network computes the same function, and then distances mislead. Compare the angle, "
        "which does not depend on the scale."
    ]


def _gradients(run: xr.Dataset) -> list[str]:
    if "gradient_norm" not in run:
        return []
    return [
        "Gradient norms are measured before clipping, and they grow with the number of parameters. "
        "A correlation with the speed of convergence over a few layers does not show a cause."
    ]


def _sketch(run: xr.Dataset) -> list[str]:
    if "distance_standard_error" not in run:
        return []
    error = run["distance_standard_error"] / run["distance"].where(run["distance"] > 0)
    return [
        f"Distances are estimates from sketches, with a standard error of up to "
        f"{float(error.max()):.1%}. The order of layers whose distances differ by less than that "
        "is not certain."
    ]


def _missing(run: xr.Dataset) -> list[str]:
    """Returns why quantities are missing, layers with the same reason together."""
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
    """Returns the finite values of a quantity along training, averaged over seeds."""
    if name not in run or "step" not in run[name].dims:
        return np.empty(0)
    values = run[name].mean([dim for dim in run[name].dims if dim != "step"]).values
    return values[np.isfinite(values)]
