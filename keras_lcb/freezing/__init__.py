"""Layers that are frozen while the others train on, to save the time that they would take."""

from keras_lcb.freezing.freeze_converged import FreezeConverged
from keras_lcb.freezing.stages import fit_in_stages

__all__ = ["FreezeConverged", "fit_in_stages"]
