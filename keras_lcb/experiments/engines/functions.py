"""A training on a function of one variable, observed as those on images are."""

from __future__ import annotations

import numpy as np
import xarray as xr

from keras_lcb.callbacks import GradientNorms, LayerConvergence
from keras_lcb.experiments.engines.observer import Observer
from keras_lcb.runs import schema
from keras_lcb.runs.merging import collect
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
    observer = Observer(
        grid[::every].astype(np.float32),
        config.record_every,
        config.updates // config.record_every,
    )
    recorders = [
        LayerConvergence(),
        GradientNorms(),
        FrequencyResponse(grid, target=config.target),
    ]
    train(compiled_model(config), config, [*recorders, observer])
    recorded = observer.added_to(collect(*recorders))
    return schema.of_experiment(recorded, __name__, config)
