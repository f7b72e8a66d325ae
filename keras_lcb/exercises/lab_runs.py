"""Runs of a lab as evidence: exercises that ask for a change of its settings."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import xarray as xr

from keras_lcb.exercises.checking import NoAnswer
from keras_lcb.runs import schema
from keras_lcb.synthetic import Expression, target_from_dict

# What the labs of notebooks 01 to 04 are made with, beside the depth, the rate and the seed.
OF_THE_LABS = {
    "target": Expression("sin(x) + sin(2*x)/2 + sin(4*x)/4").to_dict(),
    "width": 64,
    "residual": False,
    "activation": "relu",
    "optimizer": "momentum",
    "updates": 2000,
}


def settings_of(run: Any) -> dict[str, Any]:
    """Returns the settings of the experiment that a run comes from.

    Raises:
        NoAnswer: If it is no finished run of one training.
    """
    if run is None:
        raise NoAnswer("The lab has no run yet. Make your prediction, press Start, and wait.")
    if not isinstance(run, xr.Dataset):
        raise NoAnswer("Pass the run of the lab, as in the notebook: lab.run.")
    made = schema.settings(run)
    config = made.get("Config")
    if config is None:
        raise NoAnswer("This run does not say with which settings it was made. Pass lab.run.")
    if "seed" in run.dims:
        raise NoAnswer("The lab's last run has several seeds. Set Seeds to 1 and train again.")
    if made.get("learning_rate_changes"):
        raise NoAnswer(
            "The learning rate was changed while the lab's last run trained. Set it first, then "
            "press Start."
        )
    last = int(run["step"].values[-1])
    if last < config["updates"]:
        raise NoAnswer(
            f"The lab's last run ended at update {last:,} of {config['updates']:,}. Let it train "
            "to the end."
        )
    return config


def require(run: Any, **asked: Any) -> None:
    """Checks that the lab's last run has the settings that an exercise asks for.

    Args:
        run: The newest run of the lab, `lab.run`.
        **asked: The settings.

    Raises:
        NoAnswer: If it has others, or is no finished run of one training.
    """
    config = settings_of(run)
    for name, wanted in asked.items():
        given = config[name]
        if not _same(given, wanted):
            raise NoAnswer(
                f"The lab's last run has {_said(name, given)}; this exercise is about "
                f"{_said(name, wanted)}. Set it in the lab, predict, and press Start. If the "
                "lab does not show it, run the lab's cell again first."
            )


def _said(name: str, value: Any) -> str:
    """Returns a setting in words."""
    if name == "residual":
        return "a residual network" if value else "a plain network"
    return f"{name.replace('_', ' ')} {_formula(value) if isinstance(value, dict) else value}"


def _formula(target: dict[str, Any]) -> str:
    if "rows" in target:
        return " + ".join(f"{amplitude:.2g}·sin({k}x)" for k, amplitude, _ in target["rows"])
    return str(target.get("formula", target["kind"]))


def _same(given: Any, wanted: Any) -> bool:
    if given == wanted:
        return True
    if isinstance(wanted, dict):
        return _same_target(given, wanted)
    if isinstance(wanted, float) and isinstance(given, float):
        return math.isclose(given, wanted, rel_tol=0.02)  # of a slider
    return False


def _same_target(given: dict[str, Any], wanted: dict[str, Any]) -> bool:
    """Compares targets by their values, since a function can be written as several formulas."""
    if "Function" in (given["kind"], wanted["kind"]):
        return False  # such a function is not kept, so that it cannot be compared
    one, other = target_from_dict(given), target_from_dict(wanted)
    x = np.linspace(*other.domain, 1000)
    return (one.domain, one.noise) == (other.domain, other.noise) and np.allclose(
        one.clean(x), other.clean(x)
    )
