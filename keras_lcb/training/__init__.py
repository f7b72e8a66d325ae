"""Inside the training step: which layer owns which variable, the tap, and `LayerwiseModel`."""
