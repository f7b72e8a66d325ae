"""What can be measured about a layer inside the training step, one file a quantity."""

from keras_lcb.quantities.dead_units import DeadUnits
from keras_lcb.quantities.first_gradient import FirstGradient
from keras_lcb.quantities.gradient_noise import GradientNoise
from keras_lcb.quantities.gradient_norm import GradientNorm
from keras_lcb.quantities.sign_agreement import SignAgreement
from keras_lcb.quantities.step_quantity import StepQuantity
from keras_lcb.quantities.successive_cosine import SuccessiveCosine
from keras_lcb.quantities.update_norm import UpdateNorm

__all__ = [
    "DeadUnits",
    "FirstGradient",
    "GradientNoise",
    "GradientNorm",
    "SignAgreement",
    "StepQuantity",
    "SuccessiveCosine",
    "UpdateNorm",
]
