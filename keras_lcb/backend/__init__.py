"""The lowest room: operations that differ between backends, and private names of Keras."""

__all__ = ["internals", "ops"]
