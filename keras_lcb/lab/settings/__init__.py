"""The settings of labs.

- `setting`: what is known of one setting, stated once.
- `declared`: the base of the settings of a lab.
- `function`: the settings of labs on functions of one variable.
- `presets`: interesting settings to start from.
- `query`, `line`: settings, and a whole lab, as one line of text.
"""

from keras_lcb.lab.settings.declared import limits
from keras_lcb.lab.settings.function import (
    ACTIVATION,
    OPTIMIZER,
    SPEED,
    TARGETS,
    Settings,
    target_of,
)
from keras_lcb.lab.settings.query import as_query, from_query

ACTIVATIONS = tuple(ACTIVATION.options)
OPTIMIZERS = tuple(OPTIMIZER.options)
SPEEDS = tuple(SPEED.options)  # updates a second; 0 for no limit
LIMITS = limits(Settings)

__all__ = [
    "ACTIVATIONS",
    "LIMITS",
    "OPTIMIZERS",
    "SPEEDS",
    "TARGETS",
    "Settings",
    "as_query",
    "from_query",
    "target_of",
]
