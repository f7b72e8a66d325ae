import math

from keras_lcb.quantities import GradientNoise


def test_equal_gradients_have_no_noise_whatever_the_rounding_errors():
    """Of 8 gradients of norm 1, the squares sum to 8, and the square of the sum is 64."""
    noise = GradientNoise()
    assert noise.result((8.0, 64.00001), 8) == 0.0
    assert noise.result((8.0, 32.0), 8) == (8 - 4) / 7 / (32 / 64)
    assert math.isnan(noise.result((math.nan, math.nan), 8))
