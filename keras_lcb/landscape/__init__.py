"""What the loss looks like around a layer: how far its gradient holds, curvature, slices, rates."""

from keras_lcb.landscape.curvature import curvature
from keras_lcb.landscape.filter_curvature import filter_curvature
from keras_lcb.landscape.objective import Objective
from keras_lcb.landscape.predictiveness import gradient_predictiveness
from keras_lcb.landscape.slices import loss_slice
from keras_lcb.landscape.stability import largest_stable_learning_rate

__all__ = [
    "Objective",
    "curvature",
    "filter_curvature",
    "gradient_predictiveness",
    "largest_stable_learning_rate",
    "loss_slice",
]
