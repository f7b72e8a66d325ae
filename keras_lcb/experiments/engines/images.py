"""A training on images, observed: distances, gradients, and what the layers compute."""

from __future__ import annotations

import xarray as xr

from keras_lcb import vision
from keras_lcb.experiments.engines.observer import Observer
from keras_lcb.runs import schema

PROBES = 128  # images of the training set on which activations are compared


def run(config: vision.Config) -> xr.Dataset:
    """Trains as `vision.run` does.

    Returns:
        Its run, with `similarity` and `distance_to_midway` beside.
    """
    given = vision.load(config.data, batch_size=PROBES, seed=0, **config.data_arguments)
    probe, _ = next(iter(given.train))
    observer = Observer(probe.numpy(), config.record_every, config.updates // config.record_every)
    recorded = observer.added_to(vision.run(config, callbacks=[observer]))
    return schema.of_experiment(recorded, __name__, config)
