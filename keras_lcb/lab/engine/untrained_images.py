"""The filters of an image network before training, soon enough to follow a slider."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

import numpy as np

from keras_lcb.lab.settings.images import NETWORKS, ImageSettings
from keras_lcb.lab.views.images_view import ImagesView, with_filters
from keras_lcb.lab.views.layers import before_training

if TYPE_CHECKING:
    from keras_lcb.vision import ImageData

_SHALLOW = 2  # the least depth
_MATTER = ("network", "depth", "width", "normalization", "seed")


def untrained(settings: ImageSettings) -> ImagesView:
    """Returns the view before training, with the filters from which training will start.

    A new network takes some tens of milliseconds, and one that was shown lately none.
    """
    chosen = {name: getattr(settings, name) for name in _MATTER}
    if NETWORKS[settings.network].stem_only:
        chosen["depth"] = _SHALLOW  # which is built sooner
    known = _filters(ImageSettings(**chosen))
    filters = np.full((len(settings.layers), *known.shape[1:]), np.nan)
    filters[: len(known)] = known
    return with_filters(before_training(settings.layers, settings.planned), filters)


@functools.lru_cache(maxsize=32)
def _filters(settings: ImageSettings) -> np.ndarray:
    from keras_lcb.callbacks.filters import filters_of
    from keras_lcb.lab.engine.image_networks import experiment
    from keras_lcb.training.layers import tracked_layers
    from keras_lcb.training.selection import select_layers
    from keras_lcb.vision.experiment import compiled_model

    config = experiment(settings, settings.seed, **settings.built())
    rows = tracked_layers(compiled_model(config, _digits(config.data))).layers
    return filters_of(select_layers(rows, config.layers))


@functools.cache
def _digits(name: str) -> ImageData:
    from keras_lcb.vision import load

    return load(name)
