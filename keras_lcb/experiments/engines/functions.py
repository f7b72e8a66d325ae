"""A training on a function of one variable, observed as those on images are."""

from __future__ import annotations

import numpy as np
import xarray as xr

from keras_lcb.callbacks import GradientNorms, LayerConvergence
from keras_lcb.experiments.engines.midway import DistanceToMidway
from keras_lcb.runs import schema
from keras_lcb.runs.merging import collect
from keras_lcb.similarity.representation_similarity import RepresentationSimilarity
from keras_lcb.synthetic import Config
from keras_lcb.synthetic.experiment import compiled_model, train
from keras_lcb.synthetic.frequency_response import FrequencyResponse

PROBES = 128  # points on which activations are compared


def run(config: Config) -> xr.Dataset:
    """Trains as `synthetic.run` does.

    Returns:
        Its run, with `similarity` and `distance_to_midway` beside.
    """
    grid = config.target.grid(config.points)
    every = -(-config.points // PROBES)
    recorders = [
        LayerConvergence(),
        GradientNorms(),
        FrequencyResponse(grid, target=config.target),
        RepresentationSimilarity(grid[::every].astype(np.float32), batch_size=PROBES),
        DistanceToMidway(config.updates // config.record_every),
    ]
    train(compiled_model(config), config, recorders)
    return schema.of_experiment(collect(*recorders), __name__, config)
