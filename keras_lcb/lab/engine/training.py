"""One training on a function of one variable."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras

from keras_lcb.lab.engine.layers_training import LayersTraining
from keras_lcb.lab.engine.live import live_view
from keras_lcb.lab.views.view import View
from keras_lcb.synthetic import Config
from keras_lcb.synthetic.experiment import compiled_model, train
from keras_lcb.synthetic.frequency_response import FrequencyResponse


class Training(LayersTraining):
    """Trains one network on a function of one variable, and records the functions of its layers.

    Args:
        config: The experiment.
        planned: Pairs of an update and the learning rate to set there. Defaults to none.
    """

    def __init__(self, config: Config, planned: Sequence[tuple[int, float]] = ()) -> None:
        grid = config.target.grid(config.points)
        self._x, self._y = grid[:, 0], config.target.clean(grid)[:, 0]
        self._response = FrequencyResponse(grid, target=config.target, functions=True)
        super().__init__(compiled_model(config), config, self._train, planned)
        self._recorders.append(self._response)

    def view(self) -> View:
        """Returns the current view, with a provisional endpoint. Any thread may call this."""
        return live_view(
            self._convergence.records,
            self._gradients.records,
            self._response.records,
            layers=(*(f"layer_{index}" for index in range(self.config.depth)), "readout"),
            updates=self.config.updates,
            x=self._x,
            target=self._y,
            frequencies=self._response.frequencies,
            changes=self._stages(),
        )

    def _train(self, model: keras.Model, callbacks: list[Any], records: int) -> None:
        train(model, self.config, callbacks, records=records)
