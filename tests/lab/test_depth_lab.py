"""The whole lab, without a browser: tiny networks, and buttons pressed from Python."""

import base64
import io
import re
import threading
import time

import numpy as np
import pytest
from PIL import Image

import keras_lcb as lcb
from keras_lcb.lab import CONTROLS, PRESETS, DepthLab, Settings
from keras_lcb.lab.views.cached import FOLDER, cached_view, from_text, to_text
from tests.lab.views import view

TINY = {"depth": 2, "width": 8, "updates": 100, "target": "sin(x)"}


def finished(lab, seconds=300.0):
    """Wait until the lab's training has ended and been drawn."""
    until = time.monotonic() + seconds
    while lab._session.active or not lab._session._driver.join(1.0):
        assert time.monotonic() < until
        time.sleep(0.01)
    return lab


def press(lab, name):
    lab._buttons.by_name[name].click()


def control(lab, name):
    return lab._controls.by_name[name]


@pytest.fixture(scope="module")
def lab():
    """A lab with one finished run."""
    lab = DepthLab(**TINY)
    press(lab, "Start")
    yield finished(lab)
    lab.close()


def test_a_run_is_drawn_told_and_listed(lab):
    assert lab.state == "done"
    assert lab.run.sizes["step"] == 11 and lab.run.attrs["provisional"] == 0
    assert "half-way at update" in lab.sentence and "Run 1" in lab.sentence
    (shown,) = lab._gallery.viewer.shown
    assert shown["form"]["steps"][-1] == 100 and shown["title"].startswith("run 1: depth 2")
    assert [layer["name"] for layer in shown["form"]["layers"]] == list(lab.settings.layers)
    assert "depth 2" in lab._history._table.value


def test_notebooks_get_the_widget_and_a_picture(lab):
    shown = lab._repr_mimebundle_()
    assert "application/vnd.jupyter.widget-view+json" in shown
    assert base64.b64decode(shown["image/png"]).startswith(b"\x89PNG")
    assert lab.sentence in shown["text/plain"]


def test_every_control_has_a_label_and_explains_its_term(lab):
    for name in CONTROLS:
        boxes = [w for w in widgets_below(control(lab, name).widget) if getattr(w, "tooltip", "")]
        assert any(getattr(w, "description", "") for w in boxes), name
        assert all(len(w.tooltip) > 20 for w in boxes), name


def widgets_below(widget):
    yield widget
    for child in getattr(widget, "children", ()):
        yield from widgets_below(child)


def test_sliders_and_boxes_show_the_same_number():
    lab = DepthLab(**TINY)
    depth, rate = control(lab, "depth"), control(lab, "learning_rate")
    depth.slider.value = 4
    rate.box.value = 0.02
    assert depth.box.value == 4 and rate.slider.value == pytest.approx(0.02)
    assert (lab.settings.depth, lab.settings.learning_rate) == (4, pytest.approx(0.02))
    assert "layer_3" in dict(control(lab, "highlight").widget.options)
    lab.close()


def test_a_slider_that_a_page_puts_on_its_nearest_step_changes_nothing():
    lab = DepthLab()
    rate = control(lab, "learning_rate")
    rate.slider.value = 10**-1.7  # as a page does to show 0.02
    assert lab.settings == PRESETS["bias"].settings and control(lab, "preset").value == "bias"
    rate.slider.value = 10**-1.6
    assert lab.settings.learning_rate == 0.0251 and control(lab, "preset").value == ""
    rate.box.value = 0.3
    assert lab.settings.learning_rate == 0.3 and rate.slider.value == pytest.approx(0.3)
    lab.close()


def test_the_line_rebuilds_the_same_lab(lab):
    again = DepthLab.from_config(lab.config)
    assert again.settings == lab.settings and again.config == lab.config
    look = DepthLab(
        "no-bias", show=["depth", "seed"], pictures=["gradient"], predict="frequency",
        projector=True, target="x^2 + sin(x)",
    )  # fmt: skip
    other = DepthLab.from_config(look.config)
    assert other.config == look.config
    assert other._look == look._look
    assert lab._sharing.line == f'lcb.lab.DepthLab.from_config("{lab.config}")'
    assert DepthLab.from_config("preset=vanishing&seed=4").settings == Settings(
        **{**vars(PRESETS["vanishing"].settings), "seed": 4}
    )


def test_only_what_is_asked_for_is_shown():
    lab = DepthLab(show=["depth", "history"])
    below = list(widgets_below(lab.widget))
    assert control(lab, "depth").box in below
    assert control(lab, "width").box not in below
    assert lab._history._table in below and lab._sharing.widget not in below
    lab.close()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"preset": "magic"}, "no preset 'magic'"),
        ({"show": ["dept"]}, "received 'dept'"),
        ({"pictures": ["curve"]}, "received 'curve'"),
        ({"predict": "weather"}, "false or one of layer, frequency"),
        ({"depth": 99}, "`depth` must be from 1 to 12"),
    ],
)
def test_what_a_lab_does_not_have_is_refused(arguments, said):
    with pytest.raises(ValueError, match=said):
        DepthLab(**arguments)


@pytest.mark.parametrize("line", ["dept=3", "projector=perhaps", "show=dept", "depth"])
def test_a_line_that_names_what_a_lab_does_not_have_is_refused(line):
    with pytest.raises(
        ValueError, match="settings of a lab|true or false|names out of|line such as"
    ):
        DepthLab.from_config(line)


def test_a_wrong_formula_gets_a_sentence_and_keeps_start_shut():
    lab = DepthLab(**TINY)
    target = control(lab, "target")
    target._text.value = "sine(x) <b>"
    assert target.wrong and "&lt;" not in lab.sentence
    assert lab._buttons.by_name["Start"].disabled
    press(lab, "Start")
    assert lab.state == "ready"
    target._text.value = "sin(2*x)"
    assert not target.wrong and not lab._buttons.by_name["Start"].disabled
    assert lab.settings.target == "sin(2*x)"
    lab.close()


def test_nothing_is_wrong_before_anything_was_typed():
    lab = DepthLab()
    target = control(lab, "target")
    target._names.value = "own formula"
    assert "Type a formula" in target._wrong.value
    assert "keras-lcb-wrong" not in target._wrong._dom_classes
    assert lab._buttons.by_name["Start"].disabled
    target._text.value = "sine(x)"
    assert "keras-lcb-wrong" in target._wrong._dom_classes
    lab.close()


def test_a_prediction_unlocks_start_and_meets_the_outcome():
    lab = DepthLab(**TINY, predict=True)
    assert lab._buttons.by_name["Start"].disabled
    press(lab, "Start")
    assert lab.state == "ready"
    lab._prediction._answers.value = "a deep layer"
    assert not lab._buttons.by_name["Start"].disabled
    press(lab, "Start")
    finished(lab)
    assert "predicted a deep layer; observed" in lab._history._table.value
    control(lab, "depth").value = 3
    assert lab._prediction.answer is None and lab._buttons.by_name["Start"].disabled
    control(lab, "compare").value, control(lab, "seed").value = 1, 7
    lab._prediction._answers.value = "a deep layer"
    press(lab, "Start")
    assert lab.settings.seed == 0 and lab._prediction.answer == "a deep layer"
    lab.close()


def test_settings_are_locked_while_it_trains_but_those_that_may_change():
    lab = DepthLab(**{**TINY, "updates": 20_000}, speed=40)
    press(lab, "Start")
    assert control(lab, "depth").box.disabled and control(lab, "seed").box.disabled
    assert not control(lab, "learning_rate").box.disabled
    assert lab._buttons.by_name["Start"].disabled and not lab._buttons.by_name["Stop"].disabled
    press(lab, "Stop")
    finished(lab)
    assert lab.state == "stopped" and not control(lab, "depth").box.disabled
    lab.close()


def test_a_past_run_is_restored_and_compared_with_its_seed(lab):
    control(lab, "depth").value = 1
    control(lab, "seed").value = 5
    control(lab, "compare").value = 1
    press(lab, "Start")
    finished(lab)
    assert lab.settings.seed == 0 and lab.run.attrs["seed"] == 0
    assert lab.sentence.startswith("A: ") and " B: " in lab.sentence
    control(lab, "compare").value = 0
    lab._history._chosen.value = 1
    lab._restore(lab._history.entry(1))
    assert lab.settings.depth == 2 and lab.sentence.startswith("Run 1")
    assert len(lab._history.entries) == 2


def test_everything_can_be_saved(lab, tmp_path):
    table = lab.export("csv").decode().splitlines()
    assert table[0].startswith("step,layer,normalized_distance")
    assert len(table) == 1 + lab.run.sizes["step"] * lab.run.sizes["layer"]
    (tmp_path / "run.nc").write_bytes(lab.export("nc"))
    assert lcb.load_run(tmp_path / "run.nc").identical(lab.run)
    assert lab.export("png").startswith(b"\x89PNG")
    assert b"<svg" in lab.export("svg")[:1000]
    film = Image.open(io.BytesIO(lab.export("gif")))
    assert film.format == "GIF" and film.n_frames > 5
    history = lab._history
    history._kind.value = "csv"
    history._offer(history.entries[0])
    link = history._link.value
    assert 'download="run-1.csv"' in link and "data:text/csv;base64," in link
    history._kind.value = "png"
    assert "run-1.csv" not in history._link.value
    with pytest.raises(ValueError, match="one of png, svg, csv, nc, gif"):
        lab.export("exe")
    with pytest.raises(ValueError, match="no finished run"):
        DepthLab(**TINY).export("csv")


def test_a_figure_shows_two_runs_that_are_compared(lab):
    control(lab, "compare").value = 1
    lab._history._kind.value = "svg"
    lab._history._offer(lab._history.entries[-1])
    encoded = lab._history._link.value.partition("base64,")[2].partition('"')[0]
    drawn = base64.b64decode(encoded).decode()
    assert "Left: A, run 1: depth 2" in drawn and "Right: B: depth 1" in drawn
    assert drawn.count(">Gradient norm of each layer<") == 2
    assert lab.export("svg").decode() == drawn
    control(lab, "compare").value = 0
    assert lab.export("svg").decode().count(">Gradient norm of each layer<") == 1


def test_closing_leaves_no_thread():
    before = set(threading.enumerate())
    lab = DepthLab(**{**TINY, "updates": 20_000}, speed=40)
    lab.start()
    lab.close()
    assert not [t for t in set(threading.enumerate()) - before if t.name == "keras_lcb.lab"]
    lab.start()
    assert lab.state == "ready"


@pytest.mark.parametrize("name", PRESETS)
def test_a_preset_shows_a_run_at_once(name):
    preset = PRESETS[name]
    _, shown = cached_view(preset.settings)
    assert len(shown.hidden) == preset.settings.depth
    assert shown.updates == preset.settings.config().updates
    assert shown.carries == ("share" if preset.settings.residual else "r2")
    np.testing.assert_allclose(
        shown.target, preset.settings.config().target(shown.x[:, np.newaxis])[:, 0], atol=5e-3
    )
    lab = DepthLab()
    control(lab, "preset").value = name
    assert lab.settings == preset.settings and preset.shows in lab.sentence
    assert lab._gallery.viewer.shown[0]["form"]["steps"] == [0]
    press(lab, "Example")
    assert "This run comes with the lab" in lab.sentence
    assert lab._gallery.viewer.shown[0]["form"]["steps"][-1] == shown.updates
    control(lab, "depth").value = 3
    assert control(lab, "preset").value == "" and lab._buttons.by_name["Example"].disabled
    lab.close()


def test_an_example_would_give_the_answer_away():
    lab = DepthLab(predict=True)
    assert lab._buttons.by_name["Example"].disabled
    press(lab, "Example")
    assert lab._gallery.viewer.shown[0]["form"]["steps"] == [0]
    lab._prediction._answers.value = "a deep layer"
    assert not lab._buttons.by_name["Example"].disabled
    lab.close()


def test_every_change_is_answered():
    lab = DepthLab(**TINY)
    viewer = lab._gallery.viewer
    assert viewer.shown[0]["title"].startswith("Not trained yet: depth 2")
    control(lab, "depth").value = 3
    assert len(viewer.shown[0]["form"]["layers"]) == 4
    target = viewer.shown[0]["form"]["variables"]["target"]["data"]
    control(lab, "target")._text.value = "cos(2*x)"
    assert viewer.shown[0]["form"]["variables"]["target"]["data"] != target
    control(lab, "learning_rate").value = 0.05
    assert "rate 0.05" in viewer.shown[0]["title"]
    lab.close()


def test_what_was_trained_under_other_settings_is_greyed_and_says_so():
    lab = DepthLab(**TINY, learning_rate=0.05)
    press(lab, "Start")
    finished(lab)
    viewer, trained = lab._gallery.viewer, lab._gallery.viewer.shown
    control(lab, "learning_rate").value = 0.1
    assert "keras-lcb-stale" in lab._gallery.widget._dom_classes and viewer.shown == trained
    assert lab.sentence.startswith("Greyed: run 1 was trained with other settings (rate 0.05).")
    control(lab, "learning_rate").value = 0.05
    assert "keras-lcb-stale" not in lab._gallery.widget._dom_classes and lab.sentence.startswith(
        "Run 1"
    )
    control(lab, "width").value = 16
    assert viewer.shown[0]["form"]["steps"] == [0]
    assert "keras-lcb-stale" not in lab._gallery.widget._dom_classes
    lab.close()


def test_a_learning_rate_that_changes_on_the_way_is_marked_told_listed_and_shared():
    lab = DepthLab(**{**TINY, "updates": 400}, learning_rate=0.1, speed=400)
    press(lab, "Start")
    while lab._session.progress[0] < 40:
        time.sleep(0.01)
    control(lab, "learning_rate").value = 0.02
    assert re.search(r"changes=\d+%3A0.02|changes=\d+:0.02", lab.config)
    control(lab, "speed").value = 0
    finished(lab)
    ((at, rate),) = lab._session.changes
    assert rate == 0.02
    (event,) = lab._gallery.viewer.shown[0]["form"]["events"]
    assert event["text"] == "learning rate 0.1 → 0.02" and 0 <= event["update"] - at <= 10
    assert (
        f"The learning rate changed from 0.1 to 0.02 at update {event['update']:,}." in lab.sentence
    )
    assert f"rate 0.02 from {at:,}" in lab._history._table.value
    # The line trains the same again.
    again = DepthLab.from_config(lab.config)
    assert again.settings.changes == f"{at}:0.02" and again.settings.learning_rate == 0.1
    control(again, "speed").value = 0
    press(again, "Start")
    finished(again)
    for name in ("learning_rate", "loss", "distance"):
        np.testing.assert_allclose(again.run[name], lab.run[name], rtol=1e-4, atol=1e-6)
    for each in (lab, again):
        each.close()


def test_a_rate_that_is_still_planned_stays_in_the_line():
    line = "depth=2&width=8&updates=1000&learning_rate=0.1&changes=900:0.02&speed=40"
    lab = DepthLab.from_config(line)
    press(lab, "Start")
    while lab._session.progress[0] < 10:
        time.sleep(0.01)
    assert DepthLab.from_config(lab.config).settings.changes == "900:0.02"
    press(lab, "Stop")
    finished(lab)
    assert lab.settings.changes == "900:0.02"
    lab.close()


def test_another_speed_is_no_other_training():
    lab = DepthLab("bias", changes="900:0.02", speed=40, predict=True)
    shown = lab._gallery.viewer.shown
    control(lab, "speed").value = 0
    assert lab.settings.changes == "900:0.02" and lab.settings.speed == 0
    assert "changes=900" in lab.config and "speed=0" in lab.config
    assert lab._gallery.viewer.shown is shown
    control(lab, "depth").value = 3
    assert lab.settings.changes == ""
    lab.close()


def test_seeds_have_the_learning_rates_of_the_first_of_them():
    lab = DepthLab(**{**TINY, "updates": 400}, learning_rate=0.1, speed=400, seeds=2)
    press(lab, "Start")
    while lab._session.progress[0] < 40:
        time.sleep(0.01)
    control(lab, "learning_rate").value = 0.02
    control(lab, "speed").value = 0
    finished(lab)
    ((at, rate),) = lab._session.changes
    assert at > 0 and rate == 0.02 and lab.settings.changes == f"{at}:0.02"
    rates = lab.run.learning_rate
    np.testing.assert_array_equal(rates.isel(seed=0), rates.isel(seed=1))
    lab.close()


def test_a_seed_that_was_stopped_takes_nothing_from_those_that_were_not():
    lab = DepthLab(**{**TINY, "updates": 1000}, seeds=2)
    press(lab, "Start")
    while lab._session.progress[0] <= 1000:
        time.sleep(0.002)
    press(lab, "Stop")
    finished(lab)
    assert "seed" not in lab.run.dims and lab.run.step[-1] == 1000
    assert re.search(r"Left out: seed 1, which ended at update \d+\.", lab.sentence)
    lab.close()


def test_a_layer_that_is_highlighted_stands_out_in_the_pictures_and_the_other_way_round():
    lab = DepthLab(**TINY)
    control(lab, "highlight").value = "layer_1"
    assert lab._gallery.viewer.layer == "layer_1"
    lab._gallery.viewer.layer = "readout"  # as a click in the pictures does
    assert control(lab, "highlight").value == "readout"
    lab.close()


def test_the_runs_that_come_along_are_small():
    assert sum(file.stat().st_size for file in FOLDER.iterdir()) < 200_000


def test_a_view_comes_back_from_its_text():
    shown = view()
    again = from_text(to_text(shown))
    assert again.layers == shown.layers and again.spread is None
    for name in ("distance", "gradient", "contribution", "carried"):
        np.testing.assert_allclose(getattr(again, name), getattr(shown, name), rtol=1e-3)


def test_a_lab_on_a_projector_is_larger():
    lab = DepthLab(projector=True, depth=12)
    assert "keras-lcb-projector" in lab.widget._dom_classes
    assert len(lab._gallery.viewer.panels) == 5
    lab.close()


def test_what_is_wrong_with_a_run_is_said():
    """As `diagnose` finds it; a finding of the run that is compared, too."""
    lab = lcb.lab.DepthLab(depth=2, width=8, updates=200, learning_rate=1e-5)
    lab.start()
    finished(lab)
    assert "learning rate too small" in lab.sentence.lower()
    lab._controls.by_name["learning_rate"].value = 0.05
    lab._controls.compare.value = 1
    lab.start()
    finished(lab)
    first, second = lab.sentence.split(" B: ")
    assert "rate too small" in first and "rate too small" not in second
    lab.close()
