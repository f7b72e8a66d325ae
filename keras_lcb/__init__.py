"""keras_lcb: how fast each layer of a Keras model converges, and how large its gradients are.

These are the public names; everything else may move. What watches a training is imported at
once, and needs Keras only. The rest is imported on first use, since xarray, pandas, Matplotlib
and the like take longer to load than a training should have to wait.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from keras_lcb.callbacks import (
    GradientNorms,
    LayerConvergence,
    Recorder,
    StepQuantities,
    TrainingBackup,
    track,
)
from keras_lcb.freezing import FreezeConverged, fit_in_stages
from keras_lcb.quantities import StepQuantity
from keras_lcb.training.layerwise_model import LayerwiseModel

if TYPE_CHECKING:
    from keras_lcb import (
        analysis,
        exercises,
        experiments,
        lab,
        landscape,
        plotting,
        quantities,
        synthetic,
        vision,
    )
    from keras_lcb.analysis import convergence_bias, convergence_rate, summary, time_to_fraction
    from keras_lcb.diagnosis.diagnosing import diagnose
    from keras_lcb.diagnosis.diagnosis_callback import Diagnosis
    from keras_lcb.landscape.callbacks.gradient_predictiveness import GradientPredictiveness
    from keras_lcb.landscape.callbacks.layer_sharpness import LayerSharpness
    from keras_lcb.report import write_report
    from keras_lcb.response.response_frequency import ResponseFrequency
    from keras_lcb.runs.merging import collect
    from keras_lcb.runs.storage import load_run, save_run
    from keras_lcb.similarity.representation_similarity import RepresentationSimilarity
    from keras_lcb.synthetic.frequency_response import FrequencyResponse
    from keras_lcb.viewer.widget import Viewer

__version__ = "0.1.0"

__all__ = [
    "Diagnosis",
    "FreezeConverged",
    "FrequencyResponse",
    "GradientNorms",
    "GradientPredictiveness",
    "LayerConvergence",
    "LayerSharpness",
    "LayerwiseModel",
    "Recorder",
    "RepresentationSimilarity",
    "ResponseFrequency",
    "StepQuantities",
    "StepQuantity",
    "TrainingBackup",
    "Viewer",
    "analysis",
    "collect",
    "convergence_bias",
    "convergence_rate",
    "diagnose",
    "exercises",
    "experiments",
    "fit_in_stages",
    "lab",
    "landscape",
    "load_run",
    "plotting",
    "quantities",
    "save_run",
    "summary",
    "synthetic",
    "time_to_fraction",
    "track",
    "vision",
    "write_report",
]

_SUBPACKAGES = (
    "analysis",
    "exercises",
    "experiments",
    "lab",
    "landscape",
    "plotting",
    "quantities",
    "synthetic",
    "vision",
)
_ON_FIRST_USE = {
    "Diagnosis": "keras_lcb.diagnosis.diagnosis_callback",
    "FrequencyResponse": "keras_lcb.synthetic.frequency_response",
    "GradientPredictiveness": "keras_lcb.landscape.callbacks.gradient_predictiveness",
    "LayerSharpness": "keras_lcb.landscape.callbacks.layer_sharpness",
    "RepresentationSimilarity": "keras_lcb.similarity.representation_similarity",
    "ResponseFrequency": "keras_lcb.response.response_frequency",
    "Viewer": "keras_lcb.viewer.widget",
    "collect": "keras_lcb.runs.merging",
    "convergence_bias": "keras_lcb.analysis",
    "convergence_rate": "keras_lcb.analysis",
    "diagnose": "keras_lcb.diagnosis.diagnosing",
    "load_run": "keras_lcb.runs.storage",
    "save_run": "keras_lcb.runs.storage",
    "summary": "keras_lcb.analysis",
    "time_to_fraction": "keras_lcb.analysis",
    "write_report": "keras_lcb.report",
}


def __getattr__(name: str) -> Any:
    if name in _SUBPACKAGES:
        return importlib.import_module(f"keras_lcb.{name}")
    if name in _ON_FIRST_USE:
        return getattr(importlib.import_module(_ON_FIRST_USE[name]), name)
    raise AttributeError(f"module 'keras_lcb' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
