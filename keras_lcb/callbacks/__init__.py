"""What a user hands to `model.fit`."""

from keras_lcb.callbacks.gradient_norms import GradientNorms
from keras_lcb.callbacks.layer_convergence import LayerConvergence

__all__ = ["GradientNorms", "LayerConvergence"]
