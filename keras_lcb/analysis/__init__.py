"""The analysis of runs: pure functions of arrays and datasets, which do not need Keras."""

from keras_lcb.analysis.bias import convergence_bias
from keras_lcb.analysis.convergence import (
    area_under_distance,
    convergence_rate,
    normalized_distance,
    time_to_fraction,
)
from keras_lcb.analysis.corrections import corrected, families, holm, pooled
from keras_lcb.analysis.curvature import eigenvalue_per_parameter
from keras_lcb.analysis.estimate import Estimate
from keras_lcb.analysis.gradients import gradient_rate_correlation, rms_over_run
from keras_lcb.analysis.rank import RankCorrelation, rank_correlation
from keras_lcb.analysis.similarity import time_to_similarity
from keras_lcb.analysis.summary import summary
from keras_lcb.analysis.time_ratio import TimeRatio, time_ratio
from keras_lcb.analysis.verdict import ConvergenceBias
from keras_lcb.analysis.way import angle_to_end, way_from_start

__all__ = [
    "ConvergenceBias",
    "Estimate",
    "RankCorrelation",
    "TimeRatio",
    "angle_to_end",
    "area_under_distance",
    "convergence_bias",
    "convergence_rate",
    "corrected",
    "eigenvalue_per_parameter",
    "families",
    "gradient_rate_correlation",
    "holm",
    "normalized_distance",
    "pooled",
    "rank_correlation",
    "rms_over_run",
    "summary",
    "time_ratio",
    "time_to_fraction",
    "time_to_similarity",
    "way_from_start",
]
