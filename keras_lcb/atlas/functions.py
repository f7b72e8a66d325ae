"""One training on a function of one variable, whose run keeps the functions themselves."""

from __future__ import annotations

from typing import TYPE_CHECKING

from keras_lcb import synthetic
from keras_lcb.runs import schema
from keras_lcb.synthetic import Config

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["Config", "run"]


def run(config: Config) -> xr.Dataset:
    """Returns the run of `synthetic.run`, with target, prediction and each layer's contribution.

    Args:
        config: The settings.
    """
    return schema.of_experiment(synthetic.run(config, functions=True), __name__, config)
