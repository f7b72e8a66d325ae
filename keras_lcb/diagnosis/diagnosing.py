"""The function `diagnose`: applies every rule to a run."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from keras_lcb.diagnosis.finding import CERTAIN, LIKELY, POSSIBLE, Finding
from keras_lcb.diagnosis.findings import Findings
from keras_lcb.diagnosis.observed import Observed
from keras_lcb.diagnosis.rule import CannotTell, Rule
from keras_lcb.diagnosis.rules import NAMES, rule_of
from keras_lcb.runs.received import in_order

if TYPE_CHECKING:
    import xarray as xr

_ORDER = {CERTAIN: 0, LIKELY: 1, POSSIBLE: 2}
# The callbacks that record each variable that rules need.
_RECORDED_BY = {
    "dead_units": "Diagnosis",
    "loss": "LayerConvergence or Diagnosis, of a model that reports its loss",
    "parameter_norm": "LayerConvergence or Diagnosis",
    "gradient_norm": "GradientNorms or Diagnosis",
    "update_norm": "GradientNorms or Diagnosis",
    "normalized_distance": "LayerConvergence",
}
_UNSEEN = (
    "Not examined, because it needs `model` and `data`: the curvature of the loss, units without "
    "gradient on these data, and whether the data are finite."
)


def diagnose(run: xr.Dataset, model: Any = None, data: Any = None) -> Findings:
    """Finds what goes wrong in a training, with the evidence for it and advice on what to try.

    Each rule examines the variables of the run, so more callbacks in the run allow more findings.
    With `model` and `data`, some rules also examine these: whether units have no gradient on any
    sample, whether the curvature of the loss is too large for the learning rate, and whether the
    data are finite. If a rule cannot decide, because the run is too short, lacks a variable or
    shows contradictory signs, the findings give the reason. If a rule ends with an error, they name
    the error, and what the other rules find is still told. The thresholds are rules of thumb;
    `python -m benchmarks.diagnose` measures how often they are wrong.

    Cost: milliseconds for the run. With `model` and `data`, also the time of one gradient on
    these data and, if the optimizer is SGD and the loss looks unstable, of a search for the
    largest curvature, which takes some dozens of Hessian-vector products.

    Args:
        run: A run, as `collect` or a callback's `results` returns it.
        model: The compiled model with the weights that it has after the run. Defaults to `None`.
        data: Samples on which to examine the model: `(x, y)`, or a data set as `fit` takes it. A
            few hundred samples are enough. Defaults to `None`.

    Returns:
        The findings, from the most to the least certain.

    Raises:
        ValueError: If `run` is not a run with layers, if it stacks several seeds, or if only one
            of `model` and `data` is given.

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
    run = in_order(run)
    _check(run, model, data)
    seen = Observed(run, model, data)
    found: dict[str, list[Finding]] = {}
    untold: dict[str, str] = {}
    tried: dict[str, Rule] = {}
    failed: list[str] = []
    for name in NAMES:
        try:
            tried[name] = rule_of(name)
            found[name] = _look(name, tried[name], seen)
        except CannotTell as reason:
            untold[name] = str(reason)
        except Exception as error:  # a rule may be anyone's; the others still have to be told
            untold[name] = f"The rule ended with an error, {type(error).__name__}: {error}"
            failed.append(name)
    _drop_contradictions(tried, found, untold)
    everything = [finding for own in found.values() for finding in own]
    unseen = _UNSEEN if model is None else ""
    return Findings(sorted(everything, key=lambda one: _ORDER[one.sure]), untold, unseen, failed)


def _check(run: xr.Dataset, model: Any, data: Any) -> None:
    if "layer" not in run.dims:
        raise ValueError("`run` must be a run with layers, as `collect` returns it.")
    if "seed" in run.dims:
        raise ValueError(
            "`run` stacks several seeds, but a diagnosis examines one training. Pass "
            "`run.isel(seed=0)`."
        )
    if (model is None) != (data is None):
        raise ValueError(
            "Received only one of `model` and `data`. They are examined together, so pass both, "
            "or neither."
        )


def _look(name: str, rule: Rule, seen: Observed) -> list[Finding]:
    _check_needs(rule, seen)
    found = rule.look(seen)
    if not isinstance(found, Iterable):
        raise ValueError(f"`look` must yield findings; it returned {found!r}.")
    return [_complete(finding, name, rule) for finding in found]


def _check_needs(rule: Rule, seen: Observed) -> None:
    for name in rule.needs:
        if name not in seen:
            recorder = _RECORDED_BY.get(name, "another callback")
            raise CannotTell(f"The run holds no {name}, which {recorder} records.")
    if rule.at_end and not seen.over:
        raise CannotTell("Training had not ended when the run was read.")
    if len(seen.steps) < rule.records:
        raise CannotTell(
            f"The run is too short: it has {len(seen.steps)} records after the start of training, "
            f"but the rule needs {rule.records}. Record more often (`every=`), or train longer."
        )


def _complete(finding: Finding, name: str, rule: Rule) -> Finding:
    """Returns the finding with its name, its rule in words, and the source of the rule."""
    if not isinstance(finding, Finding):
        raise ValueError(f"`look` must yield findings; it yielded {finding!r}.")
    return dataclasses.replace(finding, name=name, rule=rule.says, source=rule.source)


def _drop_contradictions(
    tried: dict[str, Rule], found: dict[str, list[Finding]], untold: dict[str, str]
) -> None:
    """Moves findings that contradict each other from `found` to `untold`."""
    there = {name for name, own in found.items() if own}
    for name, rule in tried.items():
        for other in there.intersection(rule.against) if name in there else ():
            for one, another in ((name, other), (other, name)):
                found.pop(one, None)
                untold[one] = f"The run shows signs of it, but also of its opposite, {another}."
