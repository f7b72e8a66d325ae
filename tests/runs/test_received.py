"""All public functions that take a run say what to pass instead of something else."""

import inspect
import pathlib

import keras
import pytest

import keras_lcb as lcb
from keras_lcb.runs.received import check_run

OTHERS = {"path": "report.html", "name": "gradient_norm", "t1": 0, "t2": 1}


def takers():
    found = {}
    for room in (lcb, lcb.analysis, lcb.plotting):
        for name in room.__all__:
            member = getattr(room, name)
            first = next(iter(inspect.signature(member).parameters), "") if callable(member) else ""
            if first in ("run", "runs"):
                found[name] = member
    return found


TAKERS = takers()


def test_there_are_such_functions():
    assert {"summary", "save_run", "Viewer", "plot_overview", "figures_of"} <= TAKERS.keys()
    assert len(TAKERS) > 25


@pytest.mark.parametrize("name", TAKERS)
def test_what_is_not_a_run(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    required = [
        OTHERS[each.name]
        for each in list(inspect.signature(TAKERS[name]).parameters.values())[1:]
        if each.default is each.empty
        and each.kind in (each.POSITIONAL_ONLY, each.POSITIONAL_OR_KEYWORD)
    ]
    with pytest.raises(ValueError, match=r"the text 'run\.nc'.* `load_run`"):
        TAKERS[name]("run.nc", *required)
    with pytest.raises(ValueError, match="the callback LayerConvergence. Pass its `results`"):
        TAKERS[name](lcb.LayerConvergence(), *required)
    assert not list(tmp_path.iterdir())


def test_other_things():
    with pytest.raises(ValueError, match="the path 'run.nc'"):
        check_run(pathlib.Path("run.nc"))
    for given, kind in ((None, "NoneType"), (keras.callbacks.History(), "History"), ([], "list")):
        with pytest.raises(ValueError, match=f"received {kind}. Pass a callback's `results`"):
            check_run(given)
