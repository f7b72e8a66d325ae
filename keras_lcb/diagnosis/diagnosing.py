"""`diagnose`: tries every rule on a run."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

from keras_lcb.diagnosis.finding import CERTAIN, LIKELY, POSSIBLE, Finding
from keras_lcb.diagnosis.findings import Findings
from keras_lcb.diagnosis.observed import Observed
from keras_lcb.diagnosis.rule import CannotTell, Rule
from keras_lcb.diagnosis.rules import rules

if TYPE_CHECKING:
    import xarray as xr

_ORDER = {CERTAIN: 0, LIKELY: 1, POSSIBLE: 2}
# Who records what a rule needs.
_RECORDED_BY = {
    "dead_units": "Diagnosis",
    "loss": "LayerConvergence or Diagnosis, of a model that reports its loss",
    "parameter_norm": "LayerConvergence or Diagnosis",
    "gradient_norm": "GradientNorms or Diagnosis",
    "update_norm": "GradientNorms or Diagnosis",
    "normalized_distance": "LayerConvergence",
}


def diagnose(run: xr.Dataset, model: Any = None, data: Any = None) -> Findings:
    """Tells what is wrong in a training, what that rests on, and what to try.

    Rules look at what the run holds; the more callbacks took part, the more can be told. With
    `model` and `data` some look further: at units that no sample switches on, at the curvature of
    the loss against the learning rate, at data that are not finite. Of what a rule cannot tell,
    since the run is too short, lacks something or shows signs that contradict, the findings say so.
    Thresholds are rules of thumb: `python -m benchmarks.diagnose` shows how often they err.

    Args:
        run: A run, as `collect` or a callback's `results` gives it.
        model: The trained model, compiled, as it is after the run. Defaults to `None`.
        data: Samples to look at with the model: `(x, y)`, or a data set as `fit` takes it; a few
            hundred will do. Defaults to `None`.

    Returns:
        The findings, the surest first.

    Raises:
        ValueError: If `run` is no run with layers, or stacks several seeds; if only one of
            `model` and `data` is given.

    Example:
    >>> import keras, numpy as np
    >>> import keras_lcb as lcb
    >>> layers = [keras.layers.Dense(8, "relu", name="a"), keras.layers.Dense(1, name="b")]
    >>> model = keras.Sequential([keras.Input((2,)), *layers])
    >>> model.get_layer("a").trainable = False
    >>> model.compile("sgd", "mse")
    >>> watched = lcb.Diagnosis()
    >>> x, y = np.ones((8, 2)), np.ones((8, 1))
    >>> history = model.fit(x, y, epochs=2, verbose=0, callbacks=[watched])
    >>> [(finding.name, finding.layers) for finding in diagnose(watched.results)]
    [('frozen layer', ('a',))]
    """
    _check(run, model, data)
    seen = Observed(run, model, data)
    found: dict[str, list[Finding]] = {}
    untold: dict[str, str] = {}
    tried = rules()
    for name, rule in tried.items():
        try:
            found[name] = [_complete(finding, name, rule) for finding in _look(rule, seen)]
        except CannotTell as reason:
            untold[name] = str(reason)
    _drop_contradictions(tried, found, untold)
    everything = [finding for own in found.values() for finding in own]
    return Findings(sorted(everything, key=lambda one: _ORDER[one.sure]), untold)


def _check(run: xr.Dataset, model: Any, data: Any) -> None:
    if "layer" not in getattr(run, "dims", ()):
        raise ValueError(
            f"`run` must be a run with layers, as `collect` returns it; received "
            f"{type(run).__name__}."
        )
    if "seed" in run.dims:
        raise ValueError(
            "`run` stacks several seeds, and a diagnosis is of one training: pass "
            "`run.isel(seed=0)`."
        )
    if (model is None) != (data is None):
        raise ValueError("`model` and `data` are looked at together: pass both, or neither.")


def _look(rule: Rule, seen: Observed) -> list[Finding]:
    for name in rule.needs:
        if name not in seen:
            raise CannotTell(f"The run holds no {name}, which {_RECORDED_BY[name]} records.")
    if rule.at_end and not seen.over:
        raise CannotTell("Training was not over when the run was taken.")
    if len(seen.steps) < rule.records:
        raise CannotTell(
            f"The run is too short: it has {len(seen.steps)} records after the start of training, "
            f"and {rule.records} are needed. Record more often (`every=`), or train longer."
        )
    return list(rule.look(seen))


def _complete(finding: Finding, name: str, rule: Rule) -> Finding:
    """Adds what the rule knows to what it found."""
    return dataclasses.replace(finding, name=name, rule=rule.says, source=rule.source)


def _drop_contradictions(
    tried: dict[str, Rule], found: dict[str, list[Finding]], untold: dict[str, str]
) -> None:
    """Moves findings that contradict each other to what cannot be told."""
    there = {name for name, own in found.items() if own}
    for name, rule in tried.items():
        for other in there.intersection(rule.against) if name in there else ():
            for one, another in ((name, other), (other, name)):
                found.pop(one, None)
                untold[one] = f"Its signs are there, and those of its opposite, {another}, too."
