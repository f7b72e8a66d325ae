"""Inside the training step: which variable is whose, the gradient tap, the custom step."""
