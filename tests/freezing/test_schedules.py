import numpy as np
import pytest

from keras_lcb.freezing.schedules import annealing, freezing_epochs, freezing_fractions


@pytest.mark.parametrize("start", [0.1, 0.5, 0.9])
def test_both_schedules_begin_at_start_and_end_with_the_run(start):
    for schedule in ("linear", "cubic"):
        fractions = freezing_fractions(schedule, start, 5)
        assert fractions[0] == pytest.approx(start)
        assert fractions[-1] == 1.0


def test_the_cubic_schedule_is_that_of_freeze_out():
    # FreezeOut: t_i = t_0 + (1 - t_0) i / (L - 1), cubed; t_0 = 0.8 is 0.512 after cubing.
    expected = [(0.8 + 0.2 * i / 3) ** 3 for i in range(4)]
    np.testing.assert_allclose(freezing_fractions("cubic", 0.512, 4), expected)


def test_every_layer_trains_for_an_epoch_at_least():
    assert freezing_epochs(np.array([0.01, 0.5, 1.0]), 6).tolist() == [1, 3, 6]


def test_the_factor_is_half_in_the_middle_and_zero_afterwards():
    np.testing.assert_allclose(annealing(np.array([0, 1 / 3, 0.5, 1, 3])), [1, 0.75, 0.5, 0, 0])
