"""What several callbacks recorded becomes one run, and what does not fit together is refused."""

from types import SimpleNamespace

import numpy as np
import pytest
import xarray as xr

from keras_lcb.runs import schema
from keras_lcb.runs.merging import collect

LAYERS = {
    "layer": ["a", "b"],
    "depth": [0, 1],
    "parameters": [6, 3],
    "kind": ["Conv2D", "Dense"],
    "role": ["hidden", "head"],
}
OVER = ("step", "layer")


def part(steps, attrs=None, layers=LAYERS, **variables):
    coords = {
        "step": steps,
        "epoch": np.asarray(steps) // 10,
        "wall_time": np.asarray(steps) / 100,
    }
    return schema.dataset(
        {
            name: (("step",) if np.ndim(values) == 1 else OVER, values)
            for name, values in variables.items()
        },
        {**coords, **layers},
        attrs,
    )


def test_steps_are_joined_outer():
    distances = part([0, 20], distance=[[2, 4], [0, 0]], loss=[np.nan, 0.3])
    norms = part([0, 10, 20], gradient_norm=[[np.nan] * 2, [1, 2], [3, 4]], loss=[np.nan, 0.5, 0.4])
    run = collect(SimpleNamespace(results=distances), SimpleNamespace(results=norms))
    np.testing.assert_array_equal(run.step, [0, 10, 20])
    assert run.step.dtype == np.int64 and run.epoch.dtype == np.int64
    np.testing.assert_array_equal(run.distance.sel(layer="b"), [4, np.nan, 0])
    np.testing.assert_array_equal(run.gradient_norm.sel(layer="b"), [np.nan, 2, 4])
    np.testing.assert_array_equal(run.loss, [np.nan, 0.5, 0.4])  # the finer record's
    np.testing.assert_array_equal(run.epoch, [0, 1, 2])
    np.testing.assert_array_equal(run.wall_time, [0, 0.1, 0.2])
    assert run.role.values.tolist() == ["hidden", "head"]
    for name in run.variables:
        assert run[name].attrs["long_name"] and run[name].attrs["units"], name


def test_one_callback_is_its_own_run(run_factory):
    run = run_factory()
    xr.testing.assert_identical(collect(run), run)
    xr.testing.assert_identical(collect(run, run), run)


def test_the_parts_of_a_run_make_it_again(run_factory):
    run = run_factory()
    parts = [run[["distance", "loss"]], run[["gradient_norm", "update_norm"]].isel(step=[0, 3, 7])]
    merged = collect(*parts)
    xr.testing.assert_identical(merged.distance, run.distance)
    xr.testing.assert_identical(merged.gradient_norm.isel(step=[0, 3, 7]), parts[1].gradient_norm)
    assert merged.gradient_norm.isel(step=1).isnull().all()


def test_updates_and_frequencies_keep_their_dimensions():
    per_update = schema.dataset(
        {"gradient_norm_per_update": (("update", "layer"), np.ones((3, 2)))},
        {"update": [1, 2, 3], **LAYERS},
    )
    spectrum = schema.dataset(
        {"frequency_error": (("step", "frequency"), np.ones((2, 2)))},
        {"step": [0, 3], "frequency": [1, 10]},
    )
    run = collect(part([0, 3], distance=np.ones((2, 2))), per_update, spectrum)
    assert dict(run.sizes) == {"step": 2, "layer": 2, "update": 3, "frequency": 2}
    np.testing.assert_array_equal(run.frequency, [1, 10])


def test_layers_stand_in_depth_order():
    some = {name: values[1:] for name, values in LAYERS.items()}
    run = collect(
        part([0, 1], layers=some, distance=np.full((2, 1), 2.0)),
        part([0, 1], gradient_norm=np.ones((2, 2))),
    )
    assert run.layer.values.tolist() == ["a", "b"] and run.depth.dtype == np.int64
    np.testing.assert_array_equal(run.distance, [[np.nan, 2], [np.nan, 2]])


def along(names, depths):
    return {"layer": list(names), "depth": depths, "kind": ["Dense"] * len(names)}


@pytest.mark.parametrize(
    ("parts", "expected"),
    [
        ([along("b", [0]), along("b", [1])], [0]),
        ([along("ac", [0, 1]), along("abc", [0, 1, 2])], [0, 1, 2]),
        ([along("bc", [0, 1]), along("ab", [0, 1])], [0, 1, 2]),
        ([along("ac", [0, 2]), along("ac", [0, 2])], [0, 2]),
    ],
    ids=["of the model", "of all", "overlapping", "beside a frozen layer"],
)
def test_layers_are_counted_among_those_of_all_parts(parts, expected):
    """Callbacks count the layers that they hold, functions of `landscape` those of the model."""
    for order in (parts, parts[::-1]):
        run = collect(*[part([0], layers=layers) for layers in order])
        assert run.layer.values.tolist() == list("abc" if len(expected) == 3 else parts[0]["layer"])
        assert run.depth.values.tolist() == expected
        assert run.depth.attrs == part([0]).depth.attrs


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        ([along("c", [0]), along("b", [1])], "the layer 'c' or 'b', is not known"),
        ([along("ac", [0, 1]), along("bc", [0, 1])], "the layer 'a' or 'b', is not known"),
        ([along("ab", [0, 1]), along("ba", [0, 1])], "They watched different networks"),
    ],
)
def test_layers_whose_order_is_not_told_are_refused(parts, message):
    with pytest.raises(ValueError, match=message):
        collect(*[part([0], layers=layers) for layers in parts])


def test_attributes_are_joined():
    run = collect(
        part(
            [0],
            {
                "reference": "final",
                "provisional": True,
                "missing": {"angle/b": "no kernel"},
                "settings": {"LayerConvergence": {"every": "epoch"}},
                "backend": "jax",
            },
        ),
        part(
            [0],
            {
                "provisional": False,
                "first_nonfinite_update": 7,
                "nonfinite_updates": 2,
                "missing": {"gradient_norm/a": "frozen"},
                "settings": {"GradientNorms": {"log": False}},
                "backend": "jax",
            },
        ),
        part([0], {"first_nonfinite_update": -1, "settings": {"GradientNorms": {"log": True}}}),
    )
    assert run.attrs["reference"] == "final" and run.attrs["provisional"] == 1
    assert run.attrs["first_nonfinite_update"] == 7 and run.attrs["nonfinite_updates"] == 2
    assert schema.missing(run) == {"angle/b": "no kernel", "gradient_norm/a": "frozen"}
    assert schema.settings(run) == {
        "LayerConvergence": {"every": "epoch"},
        "GradientNorms": {"log": False},
        "GradientNorms_1": {"log": True},
    }


def test_nothing_to_collect():
    with pytest.raises(ValueError, match="received nothing"):
        collect()
    with pytest.raises(ValueError, match="str, which has no run"):
        collect("LayerConvergence")
    with pytest.raises(ValueError, match="SimpleNamespace, which has no run"):
        collect(SimpleNamespace(results={"distance": 1}))
    with pytest.raises(ValueError, match=r"received list, .* Write `collect\(c, g\)`"):
        collect([part([0]), part([0])])


def test_parts_that_do_not_fit_together(run_factory):
    grouped = {**LAYERS, "layer": ["block1", "b"]}
    with pytest.raises(ValueError, match="the layer 'a' or 'block1', is not known"):
        collect(part([0]), part([0], layers=grouped))
    with pytest.raises(ValueError, match="layer 'b' has parameters 3 .* 5 in another"):
        collect(part([0]), part([0], layers={**LAYERS, "parameters": [6, 5]}))
    with pytest.raises(ValueError, match="different values of 'distance'"):
        collect(part([0], distance=[[1, 2]]), part([0], distance=[[1, 3]]))
    with pytest.raises(ValueError, match="different references. Do not merge their runs"):
        collect(part([0], distance=[[1, 2]]), part([0], distance=[[1, 3]]))
    with pytest.raises(
        ValueError, match="different trainings: their optimizer is 'SGD' and 'Adam'"
    ):
        collect(part([0], {"optimizer": "SGD"}), part([0], {"optimizer": "Adam"}))
    stacked = xr.concat([run_factory(), run_factory()], "seed")
    with pytest.raises(ValueError, match="stacks several seeds"):
        collect(stacked)


def test_different_trainings_are_told_by_their_losses():
    def losses(steps, values, **others):
        return part(steps, loss=values, **others)

    one = losses([0, 10, 20], [np.nan, 8.005, 7.907], distance=np.ones((3, 2)))
    other = losses([0, 10, 20], [np.nan, 8.362, 8.145], gradient_norm=np.ones((3, 2)))
    with pytest.raises(
        ValueError, match=r"trainings: .* from update 0 to update 10 is 8\.005 in one and 8\.362"
    ):
        collect(one, other)
    later = losses([10, 20, 30], [0.5, 7.907 + 1e-6, 7.5], gradient_norm=np.ones((3, 2)))
    assert collect(one, later).loss.values[-1] == 7.5  # the first loss of a part may cover less
    broken = losses([0, 10, 20], [np.nan, np.nan, np.inf])
    assert collect(broken, broken).identical(broken)
    with pytest.raises(ValueError, match="different values of 'validation_loss'"):
        collect(part([0, 5], validation_loss=[1, 2]), part([0, 5], validation_loss=[1, 3]))


def test_a_callback_that_only_watched_a_later_fit_is_told_by_its_losses():
    """Its updates are counted from there; no two losses are over the same updates."""
    steps, losses = [0, 3, 6, 9, 12, 15, 18, 21, 24], [np.nan, 8, 7, 6, 5, 4, 3, 2, 1]
    whole = part(steps, distance=np.ones((9, 2)), loss=losses)
    first = part([0, 4, 8, 12], gradient_norm=np.ones((4, 2)), loss=[np.nan, 7.75, 6.5, 5.25])
    assert collect(whole, first).sizes["step"] == 11
    later = first.assign(loss=first.loss - 4)
    with pytest.raises(ValueError, match="is 5 to 8 in one and 1.25 to 3.75 in another"):
        collect(whole, later)
    with pytest.raises(ValueError, match="watched different trainings"):
        collect(later, whole)


def test_mean_losses_are_compared_only_where_they_are_exact():
    steps, losses = [0, 3, 6, 9, 12, 18], [np.nan, 8, 7, 6, 5, 4]
    whole = part(steps, distance=np.ones((6, 2)), loss=losses)
    rough = part([0, 4, 8, 12], gradient_norm=np.ones((4, 2)), loss=[np.nan, 7, 6, 5.2])
    batches = rough.assign(loss=("step", [np.nan, 7.5, 6, 5]))
    assert collect(whole, batches).sizes["step"] == 8, "the losses of the last batch"
    assert collect(whole.isel(step=slice(5)), rough).sizes["step"] == 7, "the same end"
    every = {"settings": '{"A": {"every": 3}, "B": {"every": 4}}'}
    assert collect(whole.assign_attrs(every), rough).sizes["step"] == 8, "merged before"
    assert collect(whole, rough.isel(step=[])).sizes["step"] == 6


def test_different_times_of_records_are_named_as_a_cause():
    fine = part(
        [0, 3, 6], {"settings": {"A": {"every": 3}}}, gradient_norm=[[0, 0], [1, 2], [3, 4]]
    )
    rough = part([0, 6], {"settings": {"B": {"every": "epoch"}}}, gradient_norm=[[0, 0], [2, 3]])
    with pytest.raises(ValueError, match=r"\(every=3 and every='epoch'\).* the same `every`"):
        collect(rough, fine)
    same = part([0, 6], {"settings": {"B": {"every": "epoch"}}}, gradient_norm=[[0, 0], [3, 4]])
    assert collect(same, fine).gradient_norm.equals(fine.gradient_norm)


def test_parts_are_put_in_order_and_need_their_dimensions(run_factory):
    whole = run_factory()
    turned = whole[["gradient_norm"]].isel(step=slice(None, None, -1))
    assert collect(whole.drop_vars("gradient_norm"), turned).gradient_norm.equals(
        whole.gradient_norm
    )
    for dim in ("step", "layer"):
        with pytest.raises(ValueError, match=f"has no dimension `{dim}`"):
            collect(whole, whole.isel({dim: 0}))
