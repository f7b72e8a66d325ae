"""Runs of a lab as evidence: exercises that ask for a change of its settings."""

from __future__ import annotations

import math
from typing import Any

import xarray as xr

from keras_lcb.exercises.checking import NoAnswer
from keras_lcb.runs import schema

_WORDS = {
    "depth": "depth",
    "learning_rate": "learning rate",
    "optimizer": "optimizer",
    "residual": "residual",
    "updates": "updates",
    "seed": "seed",
    "width": "width",
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
                f"The lab's last run has {_WORDS[name]} {given}; this exercise is about "
                f"{_WORDS[name]} {wanted}. Set it in the lab, predict, and press Start."
            )


def _same(given: Any, wanted: Any) -> bool:
    if isinstance(wanted, float):
        return math.isclose(given, wanted, rel_tol=0.02)  # of a slider
    return bool(given == wanted)
