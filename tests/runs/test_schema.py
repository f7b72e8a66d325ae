"""The builder of runs: what it attaches, what it refuses."""

import json
from pathlib import Path

import numpy as np
import pytest

from keras_lcb.runs import names, schema

COORDS = {
    "step": [0, 10, 20],
    "epoch": [0, 1, 2],
    "wall_time": [0.0, 0.5, 1.0],
    "layer": ["a", "b"],
    "depth": [0, 1],
    "parameters": [6, 3],
    "kind": ["Dense", "Dense"],
    "role": ["hidden", "head"],
}


def test_names_units_and_dtypes():
    run = schema.dataset({"distance": (("step", "layer"), np.ones((3, 2), "f4"))}, COORDS)
    for name in run.variables:
        assert set(run[name].attrs) == {"long_name", "units"}, name
    assert run.distance.dtype == np.float64
    assert run.step.dtype == np.int64 and run.depth.dtype == np.int64
    assert run.kind.dims == run.role.dims == ("layer",)
    assert run.wall_time.attrs["units"] == "s"


def test_every_name_of_the_contract_is_known():
    contract = (
        "distance normalized_distance angle parameter_norm gradient_norm update_norm "
        "angle_to_end way_from_start similarity similarity_to_start "
        "gradient_norm_per_update update_norm_per_update loss validation_loss learning_rate "
        "frequency_share frequency_centroid frequency_error r2 eigenvalue smallest_eigenvalue "
        "residual trace trace_standard_error gradient_change relative_gradient_change "
        "gradient_cosine smoothness lower upper theory distance_standard_error "
        "target prediction contribution smallest_residual scaled_eigenvalue products "
        "stable_learning_rate layer_slice slice_rise eigenvalue_per_parameter filter_curvature "
        "filter_curvature_standard_error effective_distance response_frequency target_frequency "
        "input_target_frequency filters"
    )
    assert set(contract.split()) == set(names.VARIABLES)
    dims = {d for q in names.VARIABLES.values() for choice in q.dims for d in choice.split()}
    assert dims <= set(names.COORDINATES)


def test_attributes_are_what_netcdf_can_hold():
    attrs = {
        "reference": "final",
        "provisional": True,
        "seed": None,
        "nonfinite_updates": np.int64(3),
        "learning_rate": {"class_name": "CosineDecay"},
        "missing": {"angle/bn": "no kernel"},
        "settings": {"GradientNorms": {"log": False, "backup": Path("here")}},
        "every": np.int64(5),
    }
    run = schema.dataset({}, {}, attrs)
    assert all(type(value) in (str, int, float) for value in run.attrs.values())
    assert run.attrs["provisional"] == 1 and run.attrs["nonfinite_updates"] == 3
    assert "seed" not in run.attrs
    assert json.loads(run.attrs["learning_rate"]) == {"class_name": "CosineDecay"}
    assert run.attrs["schema_version"] == schema.SCHEMA_VERSION
    assert schema.missing(run) == {"angle/bn": "no kernel"}
    assert schema.settings(run) == {
        "every": 5,
        "GradientNorms": {"log": False, "backup": "here"},
    }


@pytest.mark.parametrize(
    "variables, coords, words",
    [
        ({"distanse": (("step", "layer"), np.ones((3, 2)))}, COORDS, "'distanse'.*distance"),
        ({"distance": (("layer", "step"), np.ones((2, 3)))}, COORDS, r"\(step, layer\)"),
        (
            {"distance": (("step", "layer"), np.ones((4, 2)))},
            COORDS,
            "as many values along 'step' .*; received 4",
        ),
        ({"distance": (("step", "layer"), np.ones(3))}, COORDS, "must be an array over"),
        ({"r2": (("layer", "frequency"), np.ones((2, 1)))}, COORDS, "'frequency', for which"),
        ({}, {"dept": [0]}, "'dept' is not the name of a coordinate.*depth"),
        ({}, {"depth": [0]}, "'layer', for which"),
        ({}, {"layer": ["a", "b"], "depth": [0]}, "values along 'layer' .*; received 1"),
        ({}, {"layer": ["a", "a"]}, "must all be different"),
        ({}, {"step": 3}, "must be a list"),
        ({}, {"step": [0, 1.5]}, "'step' must be whole numbers; received .*1.5"),
        ({}, {"step": [0, np.nan]}, "'step' must be whole numbers"),
        ({}, {"frequency": ["low", "high"]}, "'frequency' must be whole numbers"),
    ],
)
def test_refusals(variables, coords, words):
    with pytest.raises(ValueError, match=words):
        schema.dataset(variables, coords)


def test_settings_that_are_no_json():
    with pytest.raises(ValueError, match="settings must be valid in JSON"):
        schema.dataset({}, {}, {"layers": lambda layer: layer})


def test_seeds_may_be_stacked():
    values = np.ones((2, 3, 2))
    run = schema.dataset(
        {"distance": (("seed", "step", "layer"), values)}, {**COORDS, "seed": [4, 5]}
    )
    assert run.distance.dims == ("seed", "step", "layer")
