"""Which meters are chosen for readers, and whose state goes on."""

import gc

import keras
import numpy as np
import pytest

from keras_lcb.quantities import FirstGradient, SuccessiveCosine, UpdateNorm
from keras_lcb.training.layers import tracked_layers
from keras_lcb.training.measurement import Measurement
from keras_lcb.training.reader import Reader
from tests.models import dense
from tests.oracle import Network


class Trained:
    """A model whose updates all have the same gradients, but for their size."""

    def __init__(self, meters=1):
        self.model = dense(Network((3, 4, 2)))
        self.rows = tracked_layers(self.model).layers
        self.measurement, self.known, self.count = Measurement(), [], meters
        variables = [v for row in self.rows for v in row.variables]
        random = np.random.default_rng(0)
        self._gradients = [random.normal(size=v.shape).astype("float32") for v in variables]
        self._variables = variables

    def reader(self, *quantities):
        return Reader(quantities, self.rows)

    def fit(self, *readers, size=1.0):
        """One update, measured by each meter for these readers; returns what each reader takes."""
        self.measurement.choose(self.model, readers, self.count, self.known)
        meters = self.measurement.meters
        self.known = [meters, *(each for each in self.known if each is not meters)]
        gradients = [keras.ops.convert_to_tensor(size * each) for each in self._gradients]
        for meter in meters:
            meter.add(self._variables, gradients, gradients, gradients)
        self.measurement.pass_on(set_back=True)
        return [reader.take().values for reader in readers]

    def norms(self, size):
        squares = [np.sum(np.square(each, dtype="float64")) for each in self._gradients]
        return size * np.sqrt([squares[0] + squares[1], squares[2] + squares[3]])


def is_first(values):
    """Whether no update came before, so that there is no angle yet."""
    cosines = values["successive_cosine"]
    assert np.isnan(cosines).all() or np.allclose(cosines, 1.0, rtol=1e-6)
    return bool(np.isnan(cosines).all())


def test_state_goes_on_for_those_that_stay_and_begins_for_those_that_come():
    trained = Trained()
    a, b, c = (trained.reader(SuccessiveCosine()) for _ in range(3))
    seen = [
        [is_first(values) for values in trained.fit(*readers)]
        for readers in [(a, b), (b, a), (a,), (a, c), (c, a), (c,), (b, c)]
    ]
    stays, comes = False, True
    assert seen[:4] == [[comes, comes], [stays, stays], [stays], [stays, comes]]
    assert seen[4:] == [[stays, stays], [stays], [comes, stays]]


@pytest.mark.parametrize("meters", [1, 2])
def test_state_goes_on_when_other_quantities_come_and_go(meters):
    trained = Trained(meters)
    first, other = trained.reader(FirstGradient()), trained.reader(UpdateNorm(), FirstGradient())
    for size, readers in enumerate([(first,), (other, first), (first, other), (first,)], start=1):
        taken = dict(zip(readers, trained.fit(*readers, size=size), strict=True))
        np.testing.assert_allclose(taken[first]["first_gradient"], trained.norms(1), rtol=1e-6)
        if other in taken:
            np.testing.assert_allclose(taken[other]["first_gradient"], trained.norms(2), rtol=1e-6)


def test_state_begins_anew_if_its_reader_is_gone():
    trained = Trained()
    for _ in range(2):
        (values,) = trained.fit(trained.reader(SuccessiveCosine()))
        assert is_first(values)
        gc.collect()


def test_quantities_and_meters_are_shared_by_those_that_begin_together():
    trained = Trained()
    one, two = trained.reader(SuccessiveCosine()), trained.reader(UpdateNorm(), SuccessiveCosine())
    trained.fit(one, two)
    (meter,) = trained.measurement.meters
    assert len(meter.quantities) == 2
    trained.fit(two, one)
    assert len(trained.measurement.meters[0].quantities) == 2
    trained.fit(one, two)
    assert trained.measurement.meters == [meter]
