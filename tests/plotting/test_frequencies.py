"""Figures of a run on a function of one variable show the run's own numbers."""

from __future__ import annotations

import imageio_ffmpeg
import matplotlib.animation
import numpy as np
import pytest
import xarray as xr
from matplotlib.figure import Figure
from PIL import Image

from keras_lcb.analysis.frequencies import carried
from keras_lcb.plotting import (
    animate_frequencies,
    plot_contributions,
    plot_frequency_error,
    plot_frequency_history,
    plot_frequency_map,
)
from keras_lcb.runs import schema

STEPS = [0, 10, 20, 40]
X = np.linspace(-np.pi, np.pi, 32, endpoint=False)


@pytest.fixture
def residual():
    """Two layers that come to carry sin x and sin 3x, and a read-out with its bias."""
    parts = np.array([np.sin(X), np.sin(3 * X) / 3, np.full(32, 0.1)])
    learned = np.array([[0.0, 0.0, 1.0], [0.5, 0.0, 1.0], [1.0, 0.2, 1.0], [1.0, 0.9, 1.0]])
    contribution = learned[:, :, None] * parts
    share = np.full((4, 3, 2), np.nan)
    share[:, 0], share[:, 1] = np.zeros((4, 2)), np.zeros((4, 2))
    share[:, 0, 0], share[:, 1, 1] = learned[:, 0], learned[:, 1]
    return schema.dataset(
        {
            "frequency_share": (("step", "layer", "frequency"), share),
            "frequency_error": (("step", "frequency"), 1 - learned[:, :2]),
            "contribution": (("step", "layer", "x"), contribution),
            "prediction": (("step", "x"), contribution.sum(axis=1)),
            "target": (("x",), parts[0] + parts[1]),
        },
        {"step": STEPS, "layer": ["low", "high", "out"], "frequency": [1, 3], "x": X},
    )


@pytest.fixture
def plain(residual):
    r2 = residual["frequency_share"].where(residual["step"].isin([0, 20]))
    run = residual.drop_vars(["contribution", "frequency_share"])
    return run.assign(r2=r2.transpose("step", "layer", "frequency"))


def over_seeds(run):
    others = [run, run.assign(frequency_share=run["frequency_share"] + 1.0)]
    return xr.concat(others, xr.DataArray([0, 1], dims="seed", name="seed"), data_vars="all")


def test_functions_are_those_of_the_record(residual, ax):
    lines = plot_contributions(residual, step=19, ax=ax)
    assert list(lines) == ["target", "low", "high", "out", "prediction"]
    at = residual.sel(step=20)
    np.testing.assert_array_equal(lines["high"].get_ydata(), at.contribution.sel(layer="high"))
    np.testing.assert_array_equal(lines["prediction"].get_ydata(), at.prediction)
    np.testing.assert_array_equal(lines["target"].get_ydata(), residual.target)
    assert "out (constant)" in [text.get_text() for text in ax.get_legend().get_texts()]


def test_functions_are_those_of_their_layers_whatever_the_order_of_dimensions(residual, ax):
    for turned in (residual.transpose("x", "layer", ...), residual.transpose("x", "step", ...)):
        ax.clear()
        lines = plot_contributions(turned, ax=ax)
        assert list(lines) == ["target", "low", "high", "out", "prediction"]
        at = residual.isel(step=-1)
        np.testing.assert_array_equal(lines["high"].get_ydata(), at.contribution.sel(layer="high"))


def test_functions_of_seeds_are_those_at_the_last_update_of_all(residual, ax):
    runs = [residual, residual.isel(step=[0, 2])]
    stacked = xr.concat(runs, "seed", data_vars="all", join="outer")
    lines = plot_contributions(stacked, ax=ax)
    at = residual.sel(step=20)
    np.testing.assert_allclose(lines["low"].get_ydata(), at.contribution.sel(layer="low"))
    np.testing.assert_allclose(lines["prediction"].get_ydata(), at.prediction)
    assert any("After 20 updates" in text.get_text() for text in ax.texts)
    assert "after 20 updates" in plot_contributions.figure.showing(stacked)


def test_plain_networks_have_a_prediction_only(plain, ax):
    assert list(plot_contributions(plain, ax=ax)) == ["target", "prediction"]


def test_the_map_shows_shares_and_their_numbers(residual, ax):
    mesh = plot_frequency_map(residual, ax=ax)
    np.testing.assert_array_equal(mesh.get_array(), [[1.0, 0.0], [0.0, 0.9]])
    texts = [text.get_text() for text in ax.texts]
    assert "0.90" in texts and any("40 updates" in text for text in texts)
    assert [label.get_text() for label in ax.get_yticklabels()] == ["low", "high"]
    assert [label.get_text() for label in ax.get_xticklabels()] == ["1", "3"]
    assert mesh.norm.vmin == -mesh.norm.vmax  # nothing carried is white


def test_r2_holds_until_the_next_probe(plain, ax):
    np.testing.assert_array_equal(
        plot_frequency_map(plain, step=10, ax=ax).get_array(), np.zeros((2, 2))
    )
    mesh = plot_frequency_map(plain, ax=Figure().subplots())
    np.testing.assert_array_equal(mesh.get_array(), [[1.0, 0.0], [0.0, 0.2]])


def test_history_has_a_panel_for_each_frequency(residual):
    low, high = plot_frequency_history(residual, Figure(layout="constrained").subplots(2))
    np.testing.assert_array_equal(low.get_array(), residual.frequency_share[:, :2, 0].T)
    np.testing.assert_array_equal(high.get_array(), residual.frequency_share[:, :2, 1].T)
    assert low.axes.get_ylabel() == "k = 1"
    corners = low.get_coordinates()[0, :, 0]
    assert corners.tolist() == [0, 5, 15, 30, 40]  # half-way between records


def test_errors_have_a_line_for_each_frequency(residual, ax):
    lines = plot_frequency_error(residual, ax)
    assert [line.get_label() for line in lines] == ["k = 1", "k = 3"]
    np.testing.assert_array_equal(lines[1].get_ydata(), residual.frequency_error[:, 1])
    ax.figure.draw_without_rendering()


def test_the_description_of_errors_is_about_the_last_record_of_all_seeds(residual):
    shorter = residual.isel(step=slice(3))
    shorter = shorter.assign(frequency_error=0 * shorter["frequency_error"] + 0.2)
    seeds = xr.DataArray([0, 1], dims="seed", name="seed")
    stacked = xr.concat([residual, shorter], seeds, data_vars="all", join="outer")
    told = plot_frequency_error.figure.showing(stacked)
    assert "After 20 updates, k = 1: 0.1, k = 3: 0.5." in told  # (0 + 0.2) / 2, (0.8 + 0.2) / 2


def test_seeds_that_were_probed_at_different_records_have_the_mean_of_their_last_values():
    over, coords = ("step", "layer", "frequency"), {"layer": ["a"], "frequency": [1]}
    nan = np.nan
    probed = [[0.25, 0.5, nan, 1.0], [0.5, nan, 0.75, nan]]  # the second one is shorter
    runs = [
        xr.Dataset({"r2": (over, np.reshape(own, (4, 1, 1)))}, {"step": [0, 10, 20, 30], **coords})
        for own in probed
    ]
    expected = [(0.25 + 0.5) / 2, (0.5 + 0.5) / 2, (0.5 + 0.75) / 2, (1.0 + 0.75) / 2]
    np.testing.assert_array_equal(carried(xr.concat(runs, "seed"))[:, 0, 0], expected)
    np.testing.assert_array_equal(carried(runs[0])[:, 0, 0], [0.25, 0.5, 0.5, 1.0])


def test_shares_have_a_mean_where_all_seeds_have_one(residual, ax):
    """Or the mean would jump to that of the seed that was trained longer."""
    short = 3 * residual.isel(step=slice(0, -1))
    silent = residual.copy()
    silent["frequency_share"] = residual["frequency_share"] * np.nan
    seeds = xr.concat([residual, short, silent], "seed", join="outer")
    means = carried(seeds)
    np.testing.assert_allclose(means[:-1], 2 * carried(residual)[:-1])
    assert means[-1].isnull().all()
    mesh = plot_frequency_map(seeds, ax=ax)
    np.testing.assert_allclose(mesh.get_array(), means[-2])
    assert any("Mean of 2 of 3 seeds" in text.get_text() for text in ax.texts)


def test_seeds_have_their_mean(residual, ax):
    seeds = over_seeds(residual)
    mesh = plot_frequency_map(seeds, ax=ax)
    np.testing.assert_allclose(mesh.get_array(), [[1.5, 0.5], [0.5, 1.4]])
    assert any("Mean of 2 seeds" in text.get_text() for text in ax.texts)
    lines = plot_frequency_error(seeds, Figure(layout="constrained").subplots())
    assert len(lines[0].axes.collections) == 2


def test_a_run_that_diverged_is_still_drawn(residual, ax):
    broken = residual.copy(deep=True)
    broken["frequency_share"][1:] = np.nan
    broken["frequency_share"][1, 0, 0] = 1e30
    mesh = plot_frequency_map(broken, ax=ax)
    assert mesh.norm.vmax == 4.0
    ax.figure.draw_without_rendering()


@pytest.mark.parametrize("kind", ["residual", "plain"])
def test_the_film_has_a_frame_for_each_record(kind, request, tmp_path):
    animate_frequencies(request.getfixturevalue(kind), tmp_path / "film.gif")
    with Image.open(tmp_path / "film.gif") as film:
        assert film.n_frames == 4
    animate_frequencies(request.getfixturevalue(kind), tmp_path / "short.gif", frames=2)
    with Image.open(tmp_path / "short.gif") as film:
        assert film.n_frames == 2


@pytest.mark.parametrize("kind", ["residual", "plain"])
def test_records_of_other_callbacks_are_not_shown(kind, request, tmp_path):
    run = request.getfixturevalue(kind)
    joined = run.reindex(step=[0, 4, 10, 12, 18, 20, 40])  # others recorded in between
    lines = plot_contributions(joined, step=12)
    np.testing.assert_array_equal(lines["prediction"].get_ydata(), run.prediction.sel(step=10))
    assert lines["prediction"].axes.texts[0].get_text().startswith("After 10 updates")
    cells = plot_frequency_map(joined, step=12).get_array()
    np.testing.assert_array_equal(cells, plot_frequency_map(run, step=10).get_array())
    for mesh in plot_frequency_history(joined):
        assert np.isfinite(np.ma.filled(mesh.get_array(), np.nan)).all()
    animate_frequencies(joined, tmp_path / "film.gif")
    with Image.open(tmp_path / "film.gif") as film:
        assert film.n_frames == 4


@pytest.mark.parametrize("kind", ["residual", "plain"])
def test_a_film_of_seeds_shows_their_mean(kind, request, tmp_path, monkeypatch):
    run = request.getfixturevalue(kind)
    shorter = run.isel(step=slice(3))
    seeds = xr.DataArray([0, 1], dims="seed", name="seed")
    stacked = xr.concat([run, shorter], seeds, data_vars="all", join="outer")
    drawn = []
    monkeypatch.setattr(
        "keras_lcb.plotting.frequency_animation.plot_contributions",
        lambda run, ax: drawn.append(plot_contributions(run, ax=ax)) or drawn[-1],
    )
    animate_frequencies(stacked, tmp_path / "film.gif")
    with Image.open(tmp_path / "film.gif") as film:
        assert film.n_frames == 3  # those that all seeds have
    shown = drawn[0]["prediction"].get_ydata()
    np.testing.assert_allclose(shown, run.prediction.sel(step=20))


def test_films_that_cannot_be_written(residual, tmp_path, monkeypatch):
    with pytest.raises(ValueError, match=r"\.gif or \.mp4"):
        animate_frequencies(residual, tmp_path / "film.avi")
    for none in ({"frames": 0}, {"per_second": 0}):
        with pytest.raises(ValueError, match="`frames` must be 1 or more"):
            animate_frequencies(residual, tmp_path / "film.gif", **none)
    with pytest.raises(ValueError, match="`step` must be a number of updates"):
        plot_contributions(residual, step="last")
    monkeypatch.setattr(matplotlib.animation.FFMpegWriter, "isAvailable", lambda: False)
    with pytest.raises(ValueError, match="ffmpeg"):
        animate_frequencies(residual, tmp_path / "film.mp4")


def test_mp4(residual, tmp_path):
    path = tmp_path / "film.mp4"
    with matplotlib.rc_context({"animation.ffmpeg_path": imageio_ffmpeg.get_ffmpeg_exe()}):
        animate_frequencies(residual, path)
    assert path.read_bytes()[4:8] == b"ftyp"
    assert imageio_ffmpeg.count_frames_and_secs(path)[0] == 4


def test_what_is_missing_is_named(run_factory, ax):
    run = run_factory()
    for plot in (plot_contributions, plot_frequency_map, plot_frequency_error):
        with pytest.raises(ValueError, match="FrequencyResponse"):
            plot(run, ax=ax)
    with pytest.raises(ValueError, match="FrequencyResponse"):
        plot_frequency_history(run)


def test_history_needs_as_many_axes_as_frequencies(residual, ax):
    with pytest.raises(ValueError, match="2 frequencies; received 1"):
        plot_frequency_history(residual, ax)
