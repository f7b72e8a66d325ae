"""What rules see of a run does not depend on the order of its dimensions."""

import numpy as np

from keras_lcb.diagnosis.observed import Observed
from tests.diagnosis.trainings import LAYERS, RECORDS, training


def test_a_variable_along_training_is_the_mean_over_its_other_dimensions():
    falling = np.linspace(1.0, 0.1, RECORDS + 1)
    factors = np.arange(1.0, 1 + len(LAYERS))
    run = training()
    whole = run.assign(learning_rate=(("step",), falling))
    each = run.assign(learning_rate=(("step", "layer"), falling[:, None] * factors))
    constant = run.assign(learning_rate=(("layer",), factors))
    np.testing.assert_array_equal(Observed(whole).along("learning_rate"), falling[1:])
    for own in (each, each.transpose("layer", "step")):
        found = Observed(own).along("learning_rate")
        np.testing.assert_allclose(found, falling[1:] * factors.mean())
    np.testing.assert_array_equal(Observed(constant).along("learning_rate"), [3.0] * RECORDS)
    one = run.assign(learning_rate=0.5)
    np.testing.assert_array_equal(Observed(one).along("learning_rate"), [0.5] * RECORDS)
    assert np.isnan(Observed(run * np.nan).along("loss")).all()
    assert np.isnan(Observed(run.drop_vars("loss")).along("loss")).all()
