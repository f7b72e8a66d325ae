"""Measures the loss around a layer's weights.

The functions measure how far the gradient stays valid (`gradient_predictiveness`), how curved the
loss is (`curvature`, `filter_curvature`), its values along random lines and planes (`loss_slice`),
and which learning rates are stable (`largest_stable_learning_rate`). All of them evaluate an
`Objective`, the loss as a function of the weights.
"""

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
