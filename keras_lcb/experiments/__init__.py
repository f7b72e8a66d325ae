"""Studies: many runs over a grid of settings and seeds, each kept as it ends.

- `study`: what is to be run, and where each result is.
- `keys`: how a result is found by its settings.
- `running`: runs it in processes, and goes on where it was left.
"""

from __future__ import annotations

from keras_lcb.experiments.running import run
from keras_lcb.experiments.study import Member, Results, Study, load

__all__ = ["Member", "Results", "Study", "load", "run"]
