"""Experiments on functions of one variable: which layer fits which frequency.

A target (`SineSum`, `Expression`, ...) is the function to learn, and `build_network` builds a
network. `run` trains a network on a target. `decompose`, `probe` and `effective_target` measure
what the layers do, and the functions of `spectra` describe it by frequency.
"""

from __future__ import annotations

from keras_lcb.synthetic.decomposition import decompose
from keras_lcb.synthetic.experiment import Config, run
from keras_lcb.synthetic.features import layer_features
from keras_lcb.synthetic.functions import Expression, Function
from keras_lcb.synthetic.networks import build_network
from keras_lcb.synthetic.probes import effective_target, probe
from keras_lcb.synthetic.sinusoids import SineSum, default_target, spectral_bias_target
from keras_lcb.synthetic.spectra import (
    frequency_centroid,
    frequency_error,
    frequency_share,
    leakage,
    share_centroid,
    spectrum,
    time_to_learn,
)
from keras_lcb.synthetic.target import Target
from keras_lcb.synthetic.targets import target_from_dict
from keras_lcb.synthetic.waves import Chirp, Sawtooth, Square, Step

__all__ = [
    "Chirp",
    "Config",
    "Expression",
    "Function",
    "Sawtooth",
    "SineSum",
    "Square",
    "Step",
    "Target",
    "build_network",
    "decompose",
    "default_target",
    "effective_target",
    "frequency_centroid",
    "frequency_error",
    "frequency_share",
    "target_from_dict",
    "layer_features",
    "leakage",
    "probe",
    "run",
    "share_centroid",
    "spectral_bias_target",
    "spectrum",
    "time_to_learn",
]
