"""The rules of `diagnose`, one in each file: `dead_units.py` finds "dead units".

Every module in this folder is a rule and defines the constant `RULE`. There is no other list of
rules. The thresholds of a rule are at the top of its file. They were tuned with
`python -m benchmarks.diagnose --tune`, on other networks and seeds than those of the table that
`python -m benchmarks.diagnose` prints.
"""

from __future__ import annotations

import importlib
import pkgutil

from keras_lcb.diagnosis.rule import Rule

NAMES = tuple(sorted(found.name.replace("_", " ") for found in pkgutil.iter_modules(__path__)))


def rules() -> dict[str, Rule]:
    """Returns all rules, by the name of the problem that they find.

    Example:
    >>> rules()["not ended"].needs
    ('loss', 'normalized_distance')
    """
    return {name: rule_of(name) for name in NAMES}


def rule_of(name: str) -> Rule:
    """Returns the rule that finds the problem with a name.

    Raises:
        ValueError: If the file of this name does not define a rule.
    """
    module = name.replace(" ", "_")
    found = getattr(importlib.import_module(f"{__name__}.{module}"), "RULE", None)
    if not isinstance(found, Rule):
        raise ValueError(
            f"{module}.py must define `RULE`, a Rule; it is {found!r}. See the other files there."
        )
    return found
