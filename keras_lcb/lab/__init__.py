"""Labs for notebooks: settings to vary, and live pictures of the layers while they learn."""

from __future__ import annotations

from keras_lcb.lab.base import SECTIONS, Lab
from keras_lcb.lab.controls import CONTROLS
from keras_lcb.lab.depth_lab import DepthLab
from keras_lcb.lab.flatness_lab import FlatnessLab
from keras_lcb.lab.presets import PRESETS, Preset
from keras_lcb.lab.settings import TARGETS, Settings

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
]
