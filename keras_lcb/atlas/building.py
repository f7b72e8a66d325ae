"""From the runs to the page."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Sequence
from pathlib import Path
from string import Template
from typing import TYPE_CHECKING, Any

import numpy as np

from keras_lcb.atlas.chapters import Chapter, chapters
from keras_lcb.atlas.outcome import outcome
from keras_lcb.atlas.packing import packed
from keras_lcb.atlas.sample import sample
from keras_lcb.experiments.grid import Study
from keras_lcb.experiments.member import Member, result_path
from keras_lcb.experiments.running import run as run_study
from keras_lcb.runs.atomic import write_atomically
from keras_lcb.runs.storage import load_run
from keras_lcb.viewer.bundle import in_script, path
from keras_lcb.viewer.compact import compact

if TYPE_CHECKING:
    import xarray as xr

_QUANTITIES = (
    "normalized_distance",
    "angle",
    "angle_to_end",
    "way_from_start",
    "gradient_norm",
    "update_norm",
    "loss",
    "target",
    "prediction",
    "contribution",
    "frequency_share",
    "r2",
    "frequency_error",
)
# Functions take most of the room: they are kept at fewer points and records than the rest.
_POINTS = 64
_FUNCTION_RECORDS = {"prediction": 21, "contribution": 11}
_PAGE_FILES = ("atlas.js", "viewer.css", "atlas.css")


def build(
    out: str | os.PathLike[str],
    runs: str | os.PathLike[str],
    *,
    small: bool = False,
    quick: bool = False,
    jobs: int | None = None,
) -> Path:
    """Trains what is missing, and writes the atlas: a page that opens from a file or any host.

    Args:
        out: The folder for `index.html` and its files.
        runs: Where all runs are kept. A build that was interrupted goes on from there.
        small: Whether to leave some trainings out, so that the page stays below 2 MB.
        quick: Whether to make few and short trainings, to see that it works.
        jobs: Processes at a time; see `experiments.run`.

    Returns:
        The path of the page.

    Raises:
        ValueError: If a training failed, so that a position of the dials would show nothing.
        OSError: If a file cannot be written.
    """
    made = list(chapters())
    if small or quick:
        made = [chapter.quick() if quick else chapter.small() for chapter in made]
    for chapter in made:
        failures = run_study(chapter.study(), runs, jobs=jobs).failures
        if failures:
            member, error = failures[0]
            raise ValueError(
                f"{len(failures)} trainings of '{chapter.name}' failed, the first with {error} "
                f"({dict(member.choice)}). Run the command again to try them once more."
            )
    return write_page(made, runs, out)


def write_page(
    made: Sequence[Chapter], runs: str | os.PathLike[str], out: str | os.PathLike[str]
) -> Path:
    """Writes the page over runs that are there.

    Args:
        made: The chapters.
        runs: The folder of their runs.
        out: The folder for the page.
    """
    folder = Path(out)
    folder.mkdir(parents=True, exist_ok=True)
    for chapter in made:
        data = json.dumps(packed(_forms(chapter.study(), runs)))
        _write(folder / f"{chapter.name}.js", f'lcbAtlas.add("{chapter.name}", {data});\n')
    for name in _PAGE_FILES:
        shutil.copyfile(path(name), folder / name)
    told = in_script(json.dumps([_described(chapter) for chapter in made], ensure_ascii=False))
    scripts = "\n".join(f'<script src="{chapter.name}.js" async></script>' for chapter in made)
    page = Path(__file__).with_name("page.html").read_text(encoding="utf-8")
    _write(folder / "index.html", Template(page).substitute(chapters=told, data=scripts))
    return folder / "index.html"


def _write(path: Path, text: str) -> None:
    write_atomically(path, text.encode())


def _described(chapter: Chapter) -> dict[str, Any]:
    return {
        "name": chapter.name,
        "title": chapter.title,
        "task": chapter.task,
        "sample": sample(chapter),
        "dials": [
            {
                "name": dial.name,
                "label": dial.label,
                "texts": list(dial.texts),
                "start": dial.start,
                "kind": dial.kind,
            }
            for dial in chapter.dials
        ],
    }


def _forms(study: Study, runs: str | os.PathLike[str]) -> dict[str, dict[str, Any]]:
    """Returns the compact form of each training, under the positions of the dials."""
    return {
        _positions(study, member): _form(load_run(result_path(runs, member.key)))
        for member in study.members()
    }


def _positions(study: Study, member: Member) -> str:
    """Returns where the dials stand, as `"2.0.1"`."""
    return ".".join(str(list(study.grid[name]).index(value)) for name, value in member.choice)


def _form(run: xr.Dataset) -> dict[str, Any]:
    for name, records in _FUNCTION_RECORDS.items():
        if name in run:
            run = run.assign({name: _thinned(run[name], records)})
    form = compact(run, precision="byte", points=_POINTS, quantities=_QUANTITIES)
    form["missing"] = {}  # nothing in the atlas reads it
    return {**form, "outcome": outcome(run)}


def _thinned(values: xr.DataArray, records: int) -> xr.DataArray:
    """Returns values at evenly spread records, and NaN, which is no record, at the others."""
    count = values.sizes["step"]
    kept = np.round(np.linspace(0, count - 1, min(records, count))).astype(int)
    return values.where(values["step"].isin(values["step"].values[kept]))
