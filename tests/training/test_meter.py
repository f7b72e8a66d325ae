"""Sums on the device: what is added up, read by several readers, and kept update by update."""

from __future__ import annotations

import keras
import numpy as np
import pytest

from keras_lcb.quantities import GradientNorm, UpdateNorm
from keras_lcb.training.layers import tracked_layers
from keras_lcb.training.meter import Meter
from keras_lcb.training.reader import Reader, requests_of
from tests.models import dense
from tests.oracle import Network

NETWORK = Network((3, 4, 2))
RANDOM = np.random.default_rng(0)


class Metered:
    """A meter for readers of a model, fed by hand."""

    def __init__(self, *quantities, ring_rows=0, readers=1):
        self.model = dense(NETWORK)
        rows = tracked_layers(self.model).layers
        self.readers = [Reader(quantities, rows, ring_rows) for _ in range(readers)]
        self.variables = [v for row in rows for v in row.variables]
        self._places = [frozenset({0, 1}), frozenset({2, 3})]
        requests, self._slots = requests_of(self.readers, lambda reader, quantity: None)
        layers = [row.variables for row in rows]
        self.meter = Meter(
            self.model, layers, [each.quantity for each in requests], self._places, ring_rows
        )

    def arrays(self, scale=1.0):
        return [(scale * RANDOM.normal(size=v.shape)).astype("float32") for v in self.variables]

    def feed(self, gradients, steps=None, at=(0, 1, 2, 3)):
        before = [np.zeros_like(g) for g in gradients]
        steps = gradients if steps is None else steps
        tensors = [
            [keras.ops.convert_to_tensor(a) for a in each] for each in (gradients, before, steps)
        ]
        self.meter.add([self.variables[place] for place in at], *tensors)

    def drain(self, **options):
        reading = self.meter.drain(**options)
        if reading is not None:
            for reader, slots in zip(self.readers, self._slots, strict=True):
                reader.add(reading, slots, self._places)
        return reading


def norms(arrays):
    """Of the two layers, each with two variables."""
    squares = [np.sum(a.astype("float64") ** 2) for a in arrays]
    return np.sqrt([squares[0] + squares[1], squares[2] + squares[3]])


def rms(of_updates):
    return np.sqrt(np.mean(np.square(of_updates), axis=0))


def test_adds_up_between_two_drains():
    metered = Metered(GradientNorm(), UpdateNorm())
    fed = [(metered.arrays(), metered.arrays(0.1)) for _ in range(3)]
    for gradients, steps in fed:
        metered.feed(gradients, steps)
    metered.drain()
    taken = metered.readers[0].take()
    assert (taken.updates, taken.nonfinite, taken.skipped, taken.lost) == (3, 0, 0, 0)
    np.testing.assert_allclose(
        taken.values["gradient_norm"], rms([norms(g) for g, _ in fed]), rtol=1e-6
    )
    np.testing.assert_allclose(
        taken.values["update_norm"], rms([norms(s) for _, s in fed]), rtol=1e-6
    )
    assert metered.drain() is None
    assert metered.readers[0].take().updates == 0


@pytest.mark.parametrize("set_back", [True, False])
def test_a_second_reading_is_of_what_came_since(set_back):
    metered = Metered(GradientNorm(), ring_rows=4)
    for scale in (1.0, 100.0, 1e-3):
        gradients = metered.arrays(scale)
        metered.feed(gradients)
        metered.drain(set_back=set_back)
        taken = metered.readers[0].take()
        assert taken.updates == 1
        np.testing.assert_allclose(taken.each["gradient_norm"], [norms(gradients)], rtol=1e-6)
        if set_back:  # else it is a difference of single precision sums on JAX
            np.testing.assert_allclose(taken.values["gradient_norm"], norms(gradients), rtol=1e-6)


def test_readers_take_records_of_their_own_length():
    metered = Metered(GradientNorm(), ring_rows=4, readers=2)
    often, seldom = metered.readers
    fed = [metered.arrays() for _ in range(3)]
    for gradients in fed:
        metered.feed(gradients)
        metered.drain()
        assert often.take().updates == 1
    taken = seldom.take()
    assert taken.updates == 3
    np.testing.assert_allclose(taken.each["gradient_norm"], [norms(g) for g in fed], rtol=1e-6)


def test_updates_of_some_variables_only():
    metered = Metered(GradientNorm(), ring_rows=4)
    whole, part = metered.arrays(), metered.arrays()[2:]
    metered.feed(whole)
    metered.feed(part, at=(2, 3))
    stranger = keras.Variable(np.zeros(2, "float32"))
    ones = [keras.ops.ones(2)]
    metered.meter.add([stranger], ones, ones, ones)  # of another model: no update of this one
    metered.drain()
    taken = metered.readers[0].take()
    assert taken.updates == 2 and taken.updates_of.tolist() == [1, 2]
    second = np.sqrt(sum(np.sum(a.astype("float64") ** 2) for a in part))
    np.testing.assert_allclose(
        taken.each["gradient_norm"], [norms(whole), [np.nan, second]], rtol=1e-6
    )
    expected = [norms(whole)[0], rms([norms(whole)[1], second])]
    np.testing.assert_allclose(taken.values["gradient_norm"], expected, rtol=1e-6)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_updates_that_are_not_finite_are_counted_from_the_first(bad):
    metered = Metered(GradientNorm())
    reader = metered.readers[0]
    for scale in (1.0, bad, 1.0, bad):
        metered.feed(metered.arrays(scale), metered.arrays())
    metered.drain()
    assert (reader.look().updates, reader.look().nonfinite) == (4, 2)
    assert reader.look().since_nonfinite == 3
    metered.feed(metered.arrays())  # finite again
    metered.drain()
    taken = reader.take()
    assert (taken.updates, taken.nonfinite, taken.since_nonfinite) == (5, 2, 4)
    metered.feed(metered.arrays())
    metered.drain()
    assert reader.take().since_nonfinite == 0


def test_the_ring_keeps_the_newest():
    metered = Metered(GradientNorm(), UpdateNorm(), ring_rows=4)
    fed = [(metered.arrays(), metered.arrays()) for _ in range(6)]
    for gradients, steps in fed:
        metered.feed(gradients, steps)
    metered.drain()
    taken = metered.readers[0].take()
    assert taken.lost == 2
    for name, arrays in zip(("gradient_norm", "update_norm"), zip(*fed, strict=True), strict=True):
        assert np.isnan(taken.each[name][:2]).all()
        np.testing.assert_allclose(
            taken.each[name][2:], [norms(each) for each in arrays[2:]], rtol=1e-6
        )


def test_steps_that_were_left_out():
    metered = Metered(GradientNorm())
    metered.meter.skip()
    metered.meter.skip()
    metered.drain()
    taken = metered.readers[0].take()
    assert (taken.updates, taken.skipped) == (0, 2)
    assert np.isnan(taken.values["gradient_norm"]).all()
