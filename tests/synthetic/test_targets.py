"""Targets against closed forms, numerical integration and their own JSON."""

import dataclasses
import json
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keras_lcb import synthetic as targets
from keras_lcb.synthetic import spectra

ROWS = st.lists(
    st.tuples(
        st.integers(0, 15),
        st.floats(-3, 3, allow_subnormal=False),
        st.floats(-7, 7, allow_subnormal=False),
    ),
    min_size=1,
    max_size=5,
)
DOMAINS = st.tuples(st.floats(-5, 5), st.floats(0.1, 9)).map(lambda d: (d[0], d[0] + d[1]))

CLOSED = [
    targets.SineSum([(1, 1.0, 0.3), (7, -0.5, 2.0), (0, 2.0, 1.0)]),
    targets.Square(),
    targets.Square(3, 0.5, domain=(0.0, 1.0)),
    targets.Square(2, domain=(0.3, 1.7)),
    targets.Sawtooth(),
    targets.Sawtooth(4, 2.0, domain=(-0.2, 0.9)),
    targets.Step(),
    targets.Step(0.2, domain=(1.0, 4.0)),
]


def test_default_target_is_the_four_sines():
    x = np.linspace(-np.pi, np.pi, 37)[:, None]
    expected = np.sin(x) + np.sin(3 * x) / 3 + np.sin(10 * x) / 10 + np.sin(30 * x) / 30
    np.testing.assert_allclose(targets.default_target()(x), expected, atol=1e-12)


@pytest.mark.parametrize("amplitudes", ["equal", "rising"])
def test_spectral_bias_target_is_the_published_sum(amplitudes):
    target = targets.spectral_bias_target(3, amplitudes)
    t = target.grid(200)
    assert target.domain == (0.0, 1.0) and t[0, 0] == 0 and t[-1, 0] < 1
    expected = sum(a * np.sin(2 * np.pi * k * t + phase) for k, a, phase in target.rows)
    np.testing.assert_allclose(target(t), expected, atol=1e-10)
    sizes = np.ones(10) if amplitudes == "equal" else np.linspace(0.1, 1, 10)
    np.testing.assert_allclose(abs(spectra.spectrum(target(t), target.frequencies)), sizes)
    phases = np.array([row[2] for row in target.rows])
    assert np.all((0 <= phases) & (phases < 2 * np.pi)) and len(set(phases)) == 10
    assert targets.spectral_bias_target(3, amplitudes) == target
    assert targets.spectral_bias_target(4, amplitudes) != target


@given(rows=ROWS, domain=DOMAINS, points=st.integers(31, 80))
@settings(max_examples=60, deadline=None)
def test_coefficients_of_a_sum_are_those_of_its_values(rows, domain, points):
    target = targets.SineSum(rows, domain=domain)
    frequencies = np.arange(16)
    np.testing.assert_allclose(
        target.coefficients(frequencies),
        spectra.spectrum(target(target.grid(points)), frequencies),
        atol=1e-9,
    )


@pytest.mark.parametrize("target", CLOSED, ids=lambda target: repr(target)[:40])
def test_closed_forms_are_the_integrals(target):
    frequencies = np.arange(25)
    # Midpoints, so that no point lies on a jump; their shift turns the phases.
    points = 2**16
    half = target.length / points / 2
    values = target.clean(target.grid(points) + half)
    turned = spectra.spectrum(values, frequencies) * np.exp(-1j * np.pi * frequencies / points)
    np.testing.assert_allclose(target.coefficients(frequencies), turned, atol=2e-4)


def test_square_follows_the_sign_of_its_sine():
    x = np.random.default_rng(0).uniform(-3.1, 3.1, (200, 1))
    np.testing.assert_array_equal(targets.Square(3)(x), np.sign(np.sin(3 * x)))
    np.testing.assert_allclose(targets.Sawtooth()(x), x / np.pi, atol=1e-8)


def test_points_on_a_jump_fall_on_one_side():
    for points in (64, 100, 512):
        values = targets.Square()(targets.Square().grid(points))
        assert (values == 1).sum() == (values == -1).sum() == points / 2


@pytest.mark.parametrize(("part", "whole"), [(1, 3), (2, 3), (4, 7), (7, 9)])
def test_a_point_at_a_step_belongs_to_it(part, whole):
    step = targets.Step(part / whole)
    values = step.clean(step.grid(16 * whole))[:, 0]
    np.testing.assert_array_equal(values, np.arange(16 * whole) >= 16 * part)


def test_chirp_speeds_up_as_it_says():
    target = targets.Chirp(2, 12, domain=(0.0, 1.0))
    x = np.linspace(0, 1, 200_001)[:, None]
    rising = np.flatnonzero((target(x)[:-1, 0] < 0) & (target(x)[1:, 0] >= 0))
    # Each period ends where the whole number of turns 2t + 5t² says.
    np.testing.assert_allclose(x[rising, 0], np.sqrt(0.04 + np.arange(1, 7) / 5) - 0.2, atol=1e-4)
    with pytest.raises(ValueError, match="no Fourier coefficients in closed form"):
        target.coefficients([1])


def test_any_function_can_be_a_target():
    target = targets.Function(np.cos)
    np.testing.assert_array_equal(target([[0.0], [1.0]]), np.cos([[0.0], [1.0]]))
    assert targets.Function(lambda x: np.cos(3 * x) + 0.1 * np.sin(9 * x)).frequencies == (3, 9)
    with pytest.raises(ValueError, match="one finite number for each position"):
        targets.Function(lambda x: x.sum())
    with pytest.raises(ValueError, match="NaN or infinity"):
        targets.Function(lambda x: np.where(x > 0, np.nan, x))
    with pytest.raises(ValueError, match="callable"):
        targets.Function(3)


def test_frequencies_are_the_strongest():
    assert targets.Square(2).frequencies == (2, 6, 10, 14, 18)
    assert targets.SineSum([(4, 1, 0), (0, 1, 1), (2, 0, 0), (4, 1, 0)]).frequencies == (4,)


def test_noise_is_seeded_and_leaves_the_target_alone():
    x = targets.default_target().grid(4096)
    noisy = targets.default_target(noise=0.2, seed=5)
    noise = noisy(x) - noisy.clean(x)
    np.testing.assert_array_equal(noisy(x), noisy(x))
    assert noise.std() == pytest.approx(0.2, rel=0.05)
    assert abs(noise.mean()) < 0.02
    other = dataclasses.replace(noisy, seed=6)
    assert np.corrcoef(noise[:, 0], (other(x) - other.clean(x))[:, 0])[0, 1] < 0.1
    np.testing.assert_allclose(noisy.coefficients([1, 3]), [1j, 1j / 3], atol=1e-12)


def test_grid_ends_before_the_period_does():
    grid = targets.default_target().grid(64)
    assert grid.shape == (64, 1) and grid[0, 0] == -np.pi
    np.testing.assert_allclose(np.diff(grid[:, 0]), 2 * np.pi / 64)
    assert grid[-1, 0] == pytest.approx(np.pi - 2 * np.pi / 64)


@pytest.mark.parametrize(
    ("target", "points", "limit"),
    [
        (targets.default_target(), 60, "30"),
        (targets.default_target(), 41, "20.5"),
        (targets.spectral_bias_target(0), 100, "50"),
        (targets.Square(8), 16, "8"),
        (targets.Chirp(1, 20.5), 40, "20"),
    ],
)
def test_a_grid_too_coarse_is_refused_with_its_limit(target, points, limit):
    with pytest.raises(ValueError, match=f"wave numbers below {limit}, their Nyquist limit"):
        target.grid(points)
    assert len(target.grid(2 * target.highest + 1)) == 2 * target.highest + 1


@pytest.mark.parametrize(
    ("build", "says"),
    [
        (lambda: targets.SineSum([]), "at least one"),
        (lambda: targets.SineSum([(1, 2)]), "A row must be"),
        (lambda: targets.SineSum([3]), "A row must be"),
        (lambda: targets.SineSum([(1.5, 1, 0)]), "whole number"),
        (lambda: targets.SineSum([(-1, 1, 0)]), "whole number"),
        (lambda: targets.SineSum([(1, math.nan, 0)]), "finite"),
        (lambda: targets.SineSum([(1, 1, "0")]), "finite"),
        (lambda: targets.SineSum([(1, 1, 0)], domain=(1, 1)), "start < end"),
        (lambda: targets.SineSum([(1, 1, 0)], domain=(0, math.inf)), "finite"),
        (lambda: targets.default_target(noise=-1), "standard deviation"),
        (lambda: targets.default_target(seed=0.5), "whole number"),
        (lambda: targets.default_target().grid(1), "2 or more"),
        (lambda: targets.default_target().coefficients([-1]), "0 or more"),
        (lambda: targets.spectral_bias_target(0, "falling"), "equal"),
        (lambda: targets.Square(0), "1 or more"),
        (lambda: targets.Step(1.0), "between 0 and 1"),
        (lambda: targets.Chirp(-1, 4), "0 or more"),
    ],
)
def test_what_makes_no_sense_is_refused(build, says):
    with pytest.raises(ValueError, match=says):
        build()


@pytest.mark.parametrize(
    "target",
    [
        *CLOSED,
        targets.Chirp(1, 9),
        targets.default_target(noise=0.1, seed=4),
        targets.SineSum(np.array([[1, 0.5, 0.0], [3, 0.1, 0.2]])),
    ],
    ids=lambda target: type(target).__name__,
)
def test_json_brings_a_target_back(target):
    again = targets.target_from_dict(json.loads(json.dumps(target.to_dict())))
    assert again == target and hash(again) == hash(target)


def test_json_of_a_function_tells_it_from_others_and_is_not_run():
    first, second = targets.Function(lambda x: x), targets.Function(lambda x: 2 * x)
    assert first.to_dict()["function"].endswith("<lambda>")
    assert first.to_dict()["fingerprint"] != second.to_dict()["fingerprint"]
    assert first.to_dict() == targets.Function(lambda x: x).to_dict()
    with pytest.raises(ValueError, match="not kept in JSON"):
        targets.target_from_dict(json.loads(json.dumps(first.to_dict())))


@pytest.mark.parametrize(
    ("described", "says"),
    [
        ({"kind": "Cube"}, "received 'Cube'"),
        ({}, "received 'None'"),
        ([], "must be a dict"),
        ({"kind": "Step", "height": 3}, "received 'height'"),
        ({"kind": "SineSum"}, "no SineSum can be made"),
        ({"kind": "SineSum", "rows": 3}, "no SineSum can be made"),
    ],
)
def test_json_of_nothing_known_is_refused(described, says):
    with pytest.raises(ValueError, match=says):
        targets.target_from_dict(described)


def test_targets_are_frozen():
    with pytest.raises(dataclasses.FrozenInstanceError):
        targets.default_target().noise = 1.0


def test_kinds_that_a_user_defines_are_restored_from_json():
    @dataclasses.dataclass(frozen=True)
    class Bump(targets.Target):
        width: float = 1.0

        def clean(self, x):
            return np.exp(-((x / self.width) ** 2))

    stored = json.loads(json.dumps(Bump(width=0.5).to_dict()))
    assert targets.target_from_dict(stored) == Bump(width=0.5)
