"""What a user hands to `model.fit`."""

from keras_lcb.callbacks.diagnosis import Diagnosis
from keras_lcb.callbacks.frequency_response import FrequencyResponse
from keras_lcb.callbacks.gradient_norms import GradientNorms
from keras_lcb.callbacks.gradient_predictiveness import GradientPredictiveness
from keras_lcb.callbacks.layer_convergence import LayerConvergence
from keras_lcb.callbacks.layer_sharpness import LayerSharpness
from keras_lcb.callbacks.step_quantities import StepQuantities

__all__ = [
    "Diagnosis",
    "FrequencyResponse",
    "GradientNorms",
    "GradientPredictiveness",
    "LayerConvergence",
    "LayerSharpness",
    "StepQuantities",
]
