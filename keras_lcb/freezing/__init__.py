"""Freezes converged layers while the others train on, to save time."""

from keras_lcb.freezing.freeze_converged import FreezeConverged
from keras_lcb.freezing.stages import fit_in_stages

__all__ = ["FreezeConverged", "fit_in_stages"]
