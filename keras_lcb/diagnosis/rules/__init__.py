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

_MODULES = tuple(sorted(module.name for module in pkgutil.iter_modules(__path__)))
NAMES = tuple(module.replace("_", " ") for module in _MODULES)


def rules() -> dict[str, Rule]:
    """Returns all rules, by the name of the problem that they find.

    Example:
    >>> rules()["not ended"].needs
    ('loss', 'normalized_distance')
    """
    return {
        name: importlib.import_module(f"{__name__}.{module}").RULE
        for name, module in zip(NAMES, _MODULES, strict=True)
    }
