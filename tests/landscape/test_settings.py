"""Settings of a wrong kind are refused by their name, before anything is computed."""

from __future__ import annotations

import numpy as np
import pytest

from keras_lcb import GradientPredictiveness, LayerSharpness, landscape

LOOKS = {
    landscape.curvature: ["seed", "top_k", "trace_samples", "tolerance"],
    landscape.filter_curvature: ["seed", "directions"],
    landscape.gradient_predictiveness: ["step_sizes"],
    landscape.largest_stable_learning_rate: ["seed", "steps", "tolerance"],
    landscape.loss_slice: ["seed", "directions", "points", "span"],
    LayerSharpness: ["seed", "top_k", "trace_samples", "tolerance"],
    GradientPredictiveness: ["step_sizes"],
}
WRONG = ["a", -1, [None], float("nan")]


@pytest.mark.parametrize("wrong", [None, *WRONG], ids=str)
@pytest.mark.parametrize(
    "look, name",
    [
        pytest.param(look, name, id=f"{look.__name__}-{name}")
        for look in LOOKS
        for name in LOOKS[look]
    ],
)
def test_a_wrong_setting_is_named(look, name, wrong):
    if look is GradientPredictiveness and wrong is None:
        pytest.skip("stands for the default")
    data = [np.ones((2, 3)), np.ones((2, 1))]
    first = data if isinstance(look, type) else ["not a model, and not looked at", *data]
    with pytest.raises(ValueError, match=f"`{name}`.* must .*received"):
        look(*first, **{name: wrong})
