"""What can be found in a run, one rule a file: `dead_units.py` finds "dead units".

Whatever module stands in this folder is a rule that `diagnose` tries: no other place lists them.
Each has a `RULE`. Thresholds stand at the top of each file; they were tuned with
`python -m benchmarks.diagnose --tune` on other networks and seeds than those of the table that
`python -m benchmarks.diagnose` prints.
"""

from __future__ import annotations

import importlib
import pkgutil

from keras_lcb.diagnosis.rule import Rule

_MODULES = tuple(sorted(module.name for module in pkgutil.iter_modules(__path__)))
NAMES = tuple(module.replace("_", " ") for module in _MODULES)


def rules() -> dict[str, Rule]:
    """Returns every rule by the name of what it finds.

    Example:
    >>> rules()["not ended"].needs
    ('loss', 'normalized_distance')
    """
    return {
        name: importlib.import_module(f"{__name__}.{module}").RULE
        for name, module in zip(NAMES, _MODULES, strict=True)
    }
