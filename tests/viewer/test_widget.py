import json

import pytest

from keras_lcb.viewer.widget import Viewer


def test_it_carries_the_run_its_script_and_its_styles(run_factory):
    viewer = Viewer(run_factory(), quantity="gradient_norm", update=40)
    (shown,) = viewer.shown
    assert shown["form"]["steps"][-1] == 100
    state = viewer.get_state()
    assert state["quantity"] == "gradient_norm" and state["update"] == 40
    assert "export{" in state["_esm"] and ".lcb-viewer" in state["_css"]
    json.dumps(shown, allow_nan=False)


def test_several_runs_stand_under_their_titles(run_factory):
    viewer = Viewer({"plain": run_factory(), "deep": run_factory(rates=(3, 2, 1, 0.5))})
    assert [shown["title"] for shown in viewer.shown] == ["plain", "deep"]
    viewer.show(run_factory())
    assert len(viewer.shown) == 1


def test_nothing_to_show_is_refused():
    with pytest.raises(ValueError, match="nothing to show"):
        Viewer({})
