"""What a run says: pure functions of arrays and datasets, none of which knows Keras."""

from keras_lcb.analysis.bias import ConvergenceBias, convergence_bias
from keras_lcb.analysis.convergence import (
    area_under_distance,
    convergence_rate,
    normalized_distance,
    time_to_fraction,
)
from keras_lcb.analysis.gradients import gradient_rate_correlation, rms_over_run
from keras_lcb.analysis.rank import RankCorrelation, rank_correlation
from keras_lcb.analysis.summary import summary

__all__ = [
    "ConvergenceBias",
    "RankCorrelation",
    "area_under_distance",
    "convergence_bias",
    "convergence_rate",
    "gradient_rate_correlation",
    "normalized_distance",
    "rank_correlation",
    "rms_over_run",
    "summary",
    "time_to_fraction",
]
