"""Quantities that can be measured for each layer inside the training step, one file each."""

from keras_lcb.quantities.gradient_noise import GradientNoise
from keras_lcb.quantities.gradient_norm import GradientNorm
from keras_lcb.quantities.sign_agreement import SignAgreement
from keras_lcb.quantities.step_quantity import StepQuantity
from keras_lcb.quantities.successive_cosine import SuccessiveCosine
from keras_lcb.quantities.update_norm import UpdateNorm

__all__ = [
    "GradientNoise",
    "GradientNorm",
    "SignAgreement",
    "StepQuantity",
    "SuccessiveCosine",
    "UpdateNorm",
]
