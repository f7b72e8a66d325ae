"""Studies: many runs over settings and seeds, each kept as it ends, and what they say.

For one's own question:

- `study`: does it hold for my model?
- `Study`, `run`, `load`: a grid of settings of an engine, run in processes or on a cluster.

For the declared sections, which `keras-lcb results` runs:

- `section`, `claim`: what is claimed, and how it is put to the test; `sections/` holds them.
- `finding`, `scale`: an effect over seeds, and its verdict.
"""

from __future__ import annotations

from keras_lcb.experiments.claim import Answer, Claim, Setting
from keras_lcb.experiments.grid import Study
from keras_lcb.experiments.member import Member
from keras_lcb.experiments.question import Verdicts, study
from keras_lcb.experiments.results import Results, load
from keras_lcb.experiments.running import complete, run
from keras_lcb.experiments.section import Section, claims, known_sections

__all__ = [
    "Answer",
    "Claim",
    "Member",
    "Results",
    "Section",
    "Setting",
    "Study",
    "Verdicts",
    "claims",
    "complete",
    "known_sections",
    "load",
    "run",
    "study",
]
