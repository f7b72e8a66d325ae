"""What lies below: operations that differ between backends, and the internals of Keras."""
