"""Callbacks for `model.fit`, and `track` for training loops that take no callbacks.

Callbacks that need the functions of a higher room live in that room: `LayerSharpness` and
`GradientPredictiveness` in `landscape`, `RepresentationSimilarity` in `similarity`,
`ResponseFrequency` in `response`, `FrequencyResponse` in `synthetic`.
"""

from keras_lcb.callbacks.filters import Filters
from keras_lcb.callbacks.gradient_norms import GradientNorms
from keras_lcb.callbacks.layer_convergence import LayerConvergence
from keras_lcb.callbacks.recorder import Recorder
from keras_lcb.callbacks.step_quantities import StepQuantities
from keras_lcb.callbacks.tracking import track
from keras_lcb.callbacks.training_backup import TrainingBackup

__all__ = [
    "Filters",
    "GradientNorms",
    "LayerConvergence",
    "Recorder",
    "StepQuantities",
    "TrainingBackup",
    "track",
]
