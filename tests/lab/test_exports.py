"""What is said when a file to export cannot be made."""

from __future__ import annotations

import errno
import os

import pytest

from keras_lcb.lab.screen import exports
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


def test_a_run_is_exported_as_it_is_saved():
    assert exports.exported("nc", example_run(2)).startswith(b"\x89HDF")
