"""What is said when a file to export cannot be made."""

from __future__ import annotations

import errno
import os

import matplotlib.text
import pytest
import xarray as xr

from keras_lcb.lab import DepthLab, ImagesLab
from keras_lcb.lab.screen import exports, still
from keras_lcb.lab.screen.history import History
from keras_lcb.runs import example_run


def test_without_room_for_temporary_files_a_sentence_says_what_to_do(monkeypatch):
    def full(*arguments, **options):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(exports, "save_run", full)
    with pytest.raises(OSError, match="No space left on device.* Make room in .* or choose PNG"):
        exports.exported("nc", example_run(2))
    monkeypatch.setattr(exports.tempfile, "TemporaryDirectory", full)
    with pytest.raises(OSError, match="could not be made"):
        exports.exported("gif", example_run(2, frequencies=(1,)))
    history = History(lambda entry: None, lambda entry, kind: full())
    history._offer(None)
    assert "No space left" in history._link.value


def test_seeds_are_drawn_as_their_mean_and_two_runs_on_one_scale(monkeypatch):
    figures = []
    monkeypatch.setattr(still, "_saved", lambda figure, kind: figures.append(figure) or b"")
    one = example_run(2, frequencies=(1, 3))
    seeds = xr.concat([one, one], "seed")
    longer = example_run(3)
    longer = longer.assign_coords(step=10 * longer.step)
    still.of_runs({"seeds": seeds}, "png")
    assert sum("Mean of 2 seeds." in text.get_text() for text in texts(figures[0])) >= 4
    still.of_runs({"short": one, "long": longer}, "png")
    limits = [ax.get_xlim() for ax in figures[1].axes[:2]]
    assert limits[0] == limits[1] and limits[0][1] >= longer.step[-1]
    assert figures[1].get_suptitle() == "Left: short\nRight: long"


def texts(figure):
    return figure.findobj(matplotlib.text.Text)


def test_a_film_is_offered_only_where_there_are_frequencies():
    for lab, film in ((DepthLab, True), (ImagesLab, False)):
        view = lab.declared.untrained(next(iter(lab.declared.presets.values())).settings)
        assert ("gif" in dict(map(reversed, exports.kinds_for(view)))) is film


def test_a_run_is_exported_as_it_is_saved():
    assert exports.exported("nc", example_run(2)).startswith(b"\x89HDF")
