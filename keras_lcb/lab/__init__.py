"""Labs for notebooks: settings to vary, and live pictures of the layers while they learn.

A lab is declared, in one file of `labs/`: its settings, what it trains, its pictures, its
questions. The file is all it takes. `Lab` wires the parts, which are the same for all labs.

- `declaration`: what a lab declares. `lab`: the parts of a lab, wired to one another. `look`: what
  of it is shown. `showing`: which run its pictures show.
- `labs/`: the labs, a file each. `watching`: `watch`, for any model.
- `settings/`: what can be set. A setting is stated once: label, term, limits, words, control.
- `controls/`: what a user sets it with, a file for each kind.
- `engine/`: the training, in the background, in pieces between which it can stop.
- `views/`: the state of a training at one moment, in the viewer's form and in words.
- `screen/`: what is on the screen beside the controls: pictures (the viewer, which is fed while
  training goes on), buttons, progress, prediction, past runs, sharing.
- `serving/`: the labs as pages.
"""

from __future__ import annotations

from keras_lcb.lab.controls import panel
from keras_lcb.lab.lab import Lab
from keras_lcb.lab.labs import labs
from keras_lcb.lab.labs.depth import DepthLab
from keras_lcb.lab.labs.flatness import FlatnessLab
from keras_lcb.lab.look import SECTIONS
from keras_lcb.lab.settings import TARGETS, Settings
from keras_lcb.lab.settings.presets import PRESETS, Preset
from keras_lcb.lab.watching import Watched, watch

CONTROLS = panel.names(Settings)
globals().update(labs())

__all__ = [
    "CONTROLS",
    "PRESETS",
    "SECTIONS",
    "TARGETS",
    "DepthLab",
    "FlatnessLab",
    "Lab",
    "Preset",
    "Settings",
    "Watched",
    "watch",
    *sorted(labs().keys() - {"DepthLab", "FlatnessLab"}),
]
