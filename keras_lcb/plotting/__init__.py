"""Figures of a run: each function takes a run and an optional `ax`, and returns the artists.

Nothing here shows a figure or changes Matplotlib's settings. Without `ax` a pyplot figure is made.
"""

from keras_lcb.plotting.contributions import plot_contributions
from keras_lcb.plotting.convergence import plot_convergence
from keras_lcb.plotting.curvature import plot_curvature
from keras_lcb.plotting.frequency_animation import animate_frequencies
from keras_lcb.plotting.frequency_error import plot_frequency_error
from keras_lcb.plotting.frequency_maps import plot_frequency_history, plot_frequency_map
from keras_lcb.plotting.gradient_norms import plot_gradient_norms
from keras_lcb.plotting.loss import plot_loss
from keras_lcb.plotting.loss_slices import plot_loss_slices
from keras_lcb.plotting.overview import plot_overview
from keras_lcb.plotting.predictiveness import plot_predictiveness
from keras_lcb.plotting.quantity import plot_quantity
from keras_lcb.plotting.rate_vs_gradient import plot_rate_vs_gradient
from keras_lcb.plotting.response_frequency import plot_response_frequency
from keras_lcb.plotting.similarity import plot_similarity
from keras_lcb.plotting.stable_rates import plot_stable_rates
from keras_lcb.plotting.style import PROJECTOR, depth_colors

__all__ = [
    "PROJECTOR",
    "animate_frequencies",
    "depth_colors",
    "plot_contributions",
    "plot_convergence",
    "plot_curvature",
    "plot_frequency_error",
    "plot_frequency_history",
    "plot_frequency_map",
    "plot_gradient_norms",
    "plot_loss",
    "plot_loss_slices",
    "plot_overview",
    "plot_predictiveness",
    "plot_quantity",
    "plot_rate_vs_gradient",
    "plot_response_frequency",
    "plot_similarity",
    "plot_stable_rates",
]
