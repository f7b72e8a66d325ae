"""Experiments on functions of one variable: which layer fits which frequency.

A target (`SineSum`, `Expression`, ...) is the function to learn, and `build_network` builds a
network. `run` trains a network on a target. `decompose`, `probe` and `effective_target` measure
what the layers do, and the functions of `spectra` describe it by frequency.

Names are imported on first use: targets and spectra need no Keras.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
