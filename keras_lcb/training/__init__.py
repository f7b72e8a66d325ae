"""Inside the training step: which layer owns which variable, the tap, and `LayerwiseModel`."""

__all__ = ["layers", "layerwise_model", "selection", "tap"]
