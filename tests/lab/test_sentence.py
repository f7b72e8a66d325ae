import dataclasses

import numpy as np

from keras_lcb.lab.views.sentence import describe
from tests.lab.views import view


def test_says_which_layer_is_half_way_when():
    assert "layer_0 half-way at update 100, layer_2 last, at 300." in describe(view())


def test_says_while_training_that_it_may_change():
    said = describe(view(provisional=True))
    assert said.startswith("So far, measured to the newest weights: layer_0 half-way")


def test_says_which_gradient_is_large_and_which_waves_are_learned():
    said = describe(view())
    assert "largest gradient is now layer_0's, 3.0 times that of layer_2" in said
    assert "Learned by half and more: wave number 1; not yet: 3." in said


def test_layers_that_never_come_half_way_are_counted():
    never = view(half_way=(100, 10_000, 10_000))
    assert "layer_0 half-way at update 100; 2 layers never." in describe(never)
    one = view(half_way=(100, 10_000, 300))
    assert "at update 100, layer_2 last, at 300; 1 layer never." in describe(one)
    nothing = view(half_way=(10_000,) * 3)
    assert "No layer came half-way" in describe(nothing)


def test_values_that_are_no_numbers_are_left_out():
    broken = dataclasses.replace(
        view(),
        gradient=np.full((9, 4), np.nan),
        error=np.full((9, 2), np.nan),
        distance=np.full((9, 4), np.nan),
    )
    assert "nan" not in describe(broken).lower()
