"""The whole lab, without a browser: tiny networks, and buttons pressed from Python."""

import base64
import io
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


def finished(lab, seconds=60.0):
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
    assert Image.open(io.BytesIO(lab._gallery.image.value)).size == (920, 580)
    assert "depth 2" in lab._history._table.value


def test_notebooks_get_the_widget_and_a_picture(lab):
    shown = lab._repr_mimebundle_()
    assert "application/vnd.jupyter.widget-view+json" in shown
    assert base64.b64decode(shown["image/png"]) == lab._gallery.image.value
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
    assert (other._show, other._shown_pictures) == (look._show, look._shown_pictures)
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
        ({"pictures": ["loss"]}, "received 'loss'"),
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
    control(lab, "depth").value = 3
    assert control(lab, "preset").value == ""
    lab.close()


def test_the_runs_that_come_along_are_small():
    assert sum(file.stat().st_size for file in FOLDER.iterdir()) < 200_000


def test_a_view_comes_back_from_its_text():
    shown = view()
    again = from_text(to_text(shown))
    assert again.layers == shown.layers and again.spread is None
    for name in ("distance", "gradient", "contribution", "carried"):
        np.testing.assert_allclose(getattr(again, name), getattr(shown, name), rtol=1e-3)


def test_a_lab_on_a_projector_names_six_layers_and_fits():
    lab = DepthLab(projector=True, depth=12)
    width, height = Image.open(io.BytesIO(lab._gallery.image.value)).size
    assert width <= 920 and height <= 600
    lab._view = view(half_way=tuple(range(100, 220, 10)))
    lab._redraw()
    panel = lab._gallery.canvas._panels[0][0]
    assert sum(text.get_visible() for text in panel._ends) <= 6
    assert all(text.get_fontsize() == 16 for text in panel._ends)
    lab.close()
