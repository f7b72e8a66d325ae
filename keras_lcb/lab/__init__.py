"""Labs for notebooks: settings to vary, and live pictures of the layers while they learn.

A lab is declared, in one file such as `depth.py`: its settings, what it trains, its pictures, its
questions. `Lab` wires the parts, which are the same for all labs.

- `declaration`: what a lab declares. `lab`: the parts of a lab, wired to one another. `look`: what
  of it is shown. `showing`: which run its pictures show.
- `depth`, `flatness`: the labs. `watching`: `watch`, for any model.
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
from keras_lcb.lab.depth import DepthLab
from keras_lcb.lab.flatness import FlatnessLab
from keras_lcb.lab.lab import Lab
from keras_lcb.lab.look import SECTIONS
from keras_lcb.lab.settings import TARGETS, Settings
from keras_lcb.lab.settings.presets import PRESETS, Preset
from keras_lcb.lab.watching import Watched, watch

CONTROLS = panel.names(Settings)

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
]
