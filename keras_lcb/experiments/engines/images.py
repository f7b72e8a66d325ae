"""A training on images, observed: distances, gradients, and what the layers compute."""

from __future__ import annotations

import xarray as xr

from keras_lcb import vision
from keras_lcb.experiments.engines.midway import DistanceToMidway
from keras_lcb.runs import schema
from keras_lcb.similarity.representation_similarity import RepresentationSimilarity

PROBES = 128  # images of the training set on which activations are compared


def run(config: vision.Config) -> xr.Dataset:
    """Trains as `vision.run` does.

    Returns:
        Its run, with `similarity` and `distance_to_midway` beside.
    """
    given = vision.load(config.data, batch_size=PROBES, seed=0, **config.data_arguments)
    probe, _ = next(iter(given.train))
    similarity = RepresentationSimilarity(probe.numpy(), batch_size=PROBES)
    midway = DistanceToMidway(config.updates // config.record_every)
    return schema.of_experiment(
        vision.run(config, callbacks=[similarity, midway]), __name__, config
    )
