"""Networks of `keras_lcb.vision` for labs: compiled, with a function that trains them."""

from __future__ import annotations

from typing import Any

import keras

from keras_lcb.lab.engine.layers_training import Fit
from keras_lcb.vision import Config, ImageData, load
from keras_lcb.vision.experiment import compiled_model

_BATCH = 64


def experiment(settings: Any, seed: int, **network: Any) -> Config:
    """Returns the experiment of a lab's settings.

    Args:
        settings: The settings of the training.
        seed: The seed.
        **network: Arguments of `Config` that describe the network.
    """
    return Config(
        **network,
        optimizer=settings.optimizer,
        learning_rate=settings.learning_rate,
        updates=settings.planned,
        record_every=settings.record_every,
        batch_size=_BATCH,
        seed=seed,
    )


def prepared(config: Config) -> tuple[keras.Model, Fit, ImageData]:
    """Returns the network of an experiment, what trains it, and its images.

    Args:
        config: The experiment. One epoch is the updates between two records.
    """

    def loaded() -> ImageData:
        return load(config.data, batch_size=config.batch_size, seed=config.seed)

    def fit(model: keras.Model, callbacks: list[Any], records: int) -> None:
        # Each call loads the images again, in the same order. It skips those that were used before
        # a pause, so that a pause changes nothing.
        images = loaded().train.repeat().skip(records * config.record_every)
        model.fit(
            images,
            initial_epoch=records,
            epochs=config.updates // config.record_every,
            steps_per_epoch=config.record_every,
            shuffle=False,
            verbose=0,
            callbacks=callbacks,
        )

    data = loaded()
    return compiled_model(config, data), fit, data
