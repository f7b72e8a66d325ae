"""A report that cannot be written: a sentence, and the old file as it was."""

from __future__ import annotations

import errno
import os

import pytest

from keras_lcb.report import write_report
from keras_lcb.runs import example_run


@pytest.mark.parametrize(
    ("number", "said"), [(errno.ENOSPC, "no space left"), (errno.EROFS, "read-only file system")]
)
def test_a_report_that_cannot_be_written(number, said, tmp_path, monkeypatch):
    def refuse(*arguments):
        raise OSError(number, os.strerror(number))

    path = tmp_path / "report.html"
    path.write_text("old")
    monkeypatch.setattr(os, "fsync", refuse)
    with pytest.raises(OSError, match=f"report.html' could not be written: {said}"):
        write_report(example_run(2, gradients=False), path)
    assert path.read_text() == "old" and os.listdir(tmp_path) == ["report.html"]
