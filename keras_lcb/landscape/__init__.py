"""What the loss looks like around a layer: how far its gradient holds, curvature, slices, rates."""

from keras_lcb.landscape.objective import Objective

__all__ = ["Objective"]
