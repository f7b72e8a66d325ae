"""One training of a lab on images, which also records filters, and responses at some moments."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from keras_lcb.callbacks import Filters
from keras_lcb.lab.engine.image_networks import prepared
from keras_lcb.lab.engine.layers_training import LayersTraining
from keras_lcb.lab.views.images_view import CUTOFFS, ImagesView, with_filters
from keras_lcb.response.response_frequency import ResponseFrequency
from keras_lcb.vision import Config, ImageData

# Of the response, beside that before training: each takes as long as a few updates.
_MOMENTS = 8
_IMAGES = 200  # that are not trained on, of which the response is measured


class ImagesTraining(LayersTraining):
    """Trains a network on images. A record holds filters, some also how fast responses vary.

    Args:
        config: The experiment.
        planned: Pairs of an update and the learning rate to set there. Defaults to none.
    """

    def __init__(self, config: Config, planned: Sequence[tuple[int, float]] = ()) -> None:
        model, fit, data = prepared(config)
        super().__init__(model, config, fit, planned)
        records = config.updates // config.record_every
        every = config.record_every * math.ceil(records / _MOMENTS)
        rows = config.layers
        self._filters = Filters(layers=rows)
        self._response = ResponseFrequency(_images(data), every=every, cutoffs=CUTOFFS, layers=rows)
        self._recorders += [self._filters, self._response]

    def view(self) -> ImagesView:
        """Returns the current view, with a provisional endpoint. Any thread may call this."""
        view = super().view()
        filters, responses = self._filters.records, self._response.records
        shown = min(len(view.steps), len(filters)) - 1
        return with_filters(
            view,
            filters[shown]["filters"],
            np.array([record["step"] for record in responses]),
            np.stack([record["response_frequency"] for record in responses]),
        )


def _images(data: ImageData) -> np.ndarray:
    return next(data.validation.unbatch().batch(_IMAGES).as_numpy_iterator())[0]
