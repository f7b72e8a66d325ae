"""Recorders of one's own: what they return is checked with the first record."""

from __future__ import annotations

import keras
import numpy as np
import pytest

import keras_lcb as lcb
from tests.callbacks.tiny import compiled, dense, train

Q = {"long_name": "something", "units": "1"}


def own(measure, variables=None, **members):
    """Makes a recorder class with a given `measure`. It declares the variable `q` by default."""
    members = {"variables": variables or {"q": Q}, "measure": measure, **members}
    return type("Own", (lcb.Recorder,), members)


WRONG = {
    "nothing": (lambda self: None, "must return a dictionary with the keys of `variables`"),
    "no dictionary": (lambda self: [1.0, 2.0], "must return a dictionary"),
    "a name that is not declared": (lambda self: {"q": [1, 2], "r": [1, 2]}, r"received \['q', 'r"),
    "a key of the record": (lambda self: {"q": [1, 2], "step": 7}, r"received \['q', 'step'\]"),
    "a name that is missing": (lambda self: {}, r"received \[\]"),
    "one number": (lambda self: {"q": 1.0}, r"the shape \(2,\), .* received \(\)"),
    "a layer too few": (lambda self: {"q": [1.0]}, r"'q', measured by Own, must have the shape"),
    "a column": (lambda self: {"q": np.ones((2, 1))}, "must have the shape"),
    "a dictionary of layers": (lambda self: {"q": {"a": 1, "b": 2}}, "must be an array of real"),
    "text": (lambda self: {"q": ["1", "2"]}, "must be an array of real numbers"),
    "complex numbers": (lambda self: {"q": [1j, 2.0]}, "must be an array of real numbers"),
}


@pytest.mark.parametrize("fault", WRONG)
def test_what_is_wrong_is_refused_before_training(fault):
    measure, sentence = WRONG[fault]
    model = compiled(dense("a", "b"))
    before = model.get_weights()
    with pytest.raises(ValueError, match=sentence):
        train(model, own(measure)())
    for ours, unchanged in zip(model.get_weights(), before, strict=True):
        np.testing.assert_array_equal(ours, unchanged)


def test_records_before_a_wrong_one_are_kept():
    def measure(self):
        self.count = getattr(self, "count", 0) + 1
        return {"q": [1.0, 2.0] if self.count < 3 else [1.0]}

    recorder, norms = own(measure)(), lcb.GradientNorms()
    with pytest.raises(ValueError, match="must have the shape"):
        train(compiled(dense("a", "b")), recorder, norms, epochs=4)
    assert recorder.results.q.values.tolist() == [[1, 2], [1, 2]]
    assert norms.results.sizes["step"] >= 2


def test_one_array_may_be_written_into_for_each_record():
    def measure(self):
        self.buffer += 1
        return {"q": self.buffer}

    recorder = own(measure, buffer=np.zeros(2))()
    train(compiled(dense("a", "b")), recorder, epochs=3)
    assert recorder.results.q.values.tolist() == [[1, 1], [2, 2], [3, 3], [4, 4]]


@pytest.mark.parametrize("together", [True, False], ids=["one tensor", "a list of tensors"])
def test_tensors_are_taken_as_they_are(together):
    def measure(self):
        norms = [keras.ops.norm(row.variables[0]) for row in self.followed]
        return {"q": keras.ops.stack(norms) if together else norms}

    model, recorder = compiled(dense("a", "b")), own(measure)()
    train(model, recorder)
    expected = [np.linalg.norm(layer.get_weights()[0]) for layer in map(model.get_layer, "ab")]
    np.testing.assert_allclose(recorder.results.q[-1], expected, rtol=1e-5)


def test_other_dimensions_have_coordinates():
    variables = {"q": {**Q, "dims": ("layer", "alpha")}}
    measure = lambda self: {"q": np.ones((2, 3))}  # noqa: E731
    with pytest.raises(ValueError, match="must return the values along the dimension 'alpha'"):
        train(compiled(dense("a", "b")), own(measure, variables)())
    for name in ("layer", "step"):
        bad = own(measure, variables, coordinates=lambda self, n=name: {n: [1], "alpha": [0, 1, 2]})
        with pytest.raises(ValueError, match=f"`coordinates` of Own returns '{name}'"):
            train(compiled(dense("a", "b")), bad())
    good = own(measure, variables, coordinates=lambda self: {"alpha": [0.0, 0.5, 1.0]})()
    train(compiled(dense("a", "b")), good)
    assert good.results.q.dims == ("step", "layer", "alpha")


def test_coordinates_that_a_run_cannot_hold_are_refused_before_training():
    variables = {"q": {**Q, "dims": ("layer", "frequency")}}
    model = compiled(dense("a", "b"))
    before = model.get_weights()
    bad = own(
        lambda self: {"q": np.ones((2, 2))},
        variables,
        coordinates=lambda self: {"frequency": [0.5, 0.7]},
    )
    with pytest.raises(ValueError, match="'frequency' must be whole numbers"):
        train(model, bad())
    for old, new in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)


@pytest.mark.parametrize("dims", ["layer", ("step", "layer"), ("layer", "unit")])
def test_dimensions_are_those_of_a_run(dims):
    with pytest.raises(ValueError, match="`dims` of 'q' in `variables` must be a tuple"):
        own(lambda self: {}, {"q": {**Q, "dims": dims}})()


@pytest.mark.parametrize("name", ["learning_rates", "loss", "step"])
def test_names_of_every_record_are_taken(name):
    with pytest.raises(ValueError, match="already has another meaning"):
        own(lambda self: {}, {name: Q})()
