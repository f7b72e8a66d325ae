"""Callbacks that measure the loss around the layers' weights during training."""
