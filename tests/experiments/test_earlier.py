"""What was found earlier stands for runs that are not at hand any more."""

from __future__ import annotations

import dataclasses
import shutil

import pytest

from keras_lcb import experiments
from keras_lcb.analysis import Estimate
from keras_lcb.experiments import answering, rows
from keras_lcb.experiments.earlier import fuller, read_earlier
from keras_lcb.experiments.families import answers
from keras_lcb.experiments.finding import finding
from keras_lcb.experiments.page import write_page
from keras_lcb.experiments.scale import CORRELATION, RATIO


@pytest.fixture
def page(answer, tmp_path):
    """The folder of a page on runs that are lost afterwards."""
    write_page(answers([answer.claim], tmp_path / "runs"), tmp_path, command="c")
    shutil.move(tmp_path / "runs", tmp_path / "lost")
    return tmp_path


def run(members, folder):
    experiments.complete(members, folder / "runs", jobs=1, progress=False)


def of_setting(claim, name, seeds=None):
    return [m for m in claim.members(seeds) if dict(m.choice)["setting"] == name]


def test_a_page_without_runs_is_the_page_with_runs(page, claim):
    with_runs = (page / "RESULTS.md").read_text()
    without = answers([claim], page / "runs", earlier=read_earlier(page))
    assert write_page(without, page / "again", command="c").read_text() == with_runs
    for name in rows.TABLES:
        again, first = (folder / "results" / f"{name}.csv" for folder in (page / "again", page))
        assert again.read_text() == first.read_text()


@pytest.mark.parametrize("scale", [RATIO, CORRELATION])
def test_all_that_a_finding_tells_is_read_back(answer, tmp_path, scale):
    values = (0.25, float("nan"), -0.5, 0.0, 1.0)
    full = finding(
        values,
        range(5),
        scale,
        direction=-1,
        beside={"b": Estimate((0.1, 0.2, 0.3, 0.4, 0.5))},
        parts={"a": Estimate((1.0, 0.5, 0.25, 0.125, 0.0))},
        loss=Estimate((3.0,)),
    )
    bare = finding([], (), scale, lacking="every run diverged")
    findings = {"large": full, "small": bare, "larger": answer.findings["larger"]}
    claim = dataclasses.replace(answer.claim, scale=scale)
    told = dataclasses.replace(answer, claim=claim, findings=findings, uncorrected=findings)
    write_page([told], tmp_path, command="c")
    back = read_earlier(tmp_path).answer(claim).findings
    for name in ("large", "small"):
        for field in dataclasses.fields(full):
            was, now = (getattr(of[name], field.name) for of in (findings, back))
            assert repr(now) == pytest.approx(repr(was)) or _close(was, now), field.name


def _close(was, now):
    if isinstance(was, Estimate):
        return now.values == pytest.approx(was.values, nan_ok=True)
    if isinstance(was, dict):
        return was.keys() == now.keys() and all(_close(was[k], now[k]) for k in was)
    return now == pytest.approx(was, nan_ok=True)


def test_verdicts_are_corrected_anew_with_what_was_added(page, claim):
    """Three settings were tested; of a fourth, runs have come since."""
    fourth = dataclasses.replace(
        claim.settings["large"], config=dataclasses.replace(claim.settings["large"].config, size=50)
    )
    wider = dataclasses.replace(claim, settings={**claim.settings, "fourth": fourth})
    run(of_setting(wider, "fourth"), page)
    (three,) = answers([claim], page / "runs", earlier=read_earlier(page))
    (four,) = answers([wider], page / "runs", earlier=read_earlier(page))
    surest = min(three.uncorrected, key=lambda name: three.uncorrected[name].p_order)
    alone = three.uncorrected[surest].p_order
    assert three.findings[surest].p_order == pytest.approx(3 * alone)
    assert four.findings[surest].p_order == pytest.approx(4 * alone)
    assert list(four.findings) == ["large", "larger", "small", "fourth"]
    assert four.pooled.effect.count == 4 and not four.results.missing
    assert len(four.results.made) == 20 and four.failed() == {"missing": 5}


def test_runs_at_hand_count_where_all_of_them_are(page, claim):
    """Of "small", the runs are back, of "large" some are, which say less than the table."""
    run(of_setting(claim, "small") + of_setting(claim, "large", [0, 1]), page)
    now = claim.measured(page / "runs")
    both = fuller(now, read_earlier(page).answer(claim))
    assert both.findings["small"] == now.findings["small"]
    assert both.findings["large"].effect.count == 5 and both.trained["large"] == 5
    assert len(both.results.made) == 15


@pytest.mark.parametrize("change", ["settings", "seeds"])
def test_what_was_found_on_other_trainings_does_not_count(page, claim, change):
    large = claim.settings["large"]
    other = dataclasses.replace(large, config=dataclasses.replace(large.config, size=99.0))
    changed = dataclasses.replace(
        claim, settings={"large": other if change == "settings" else large}
    )
    seeds = range(4 if change == "seeds" else 5)
    found = read_earlier(page).answer(changed, seeds)
    assert not found.findings and len(found.results.missing) == len(seeds)


def test_a_setting_that_lacks_runs_is_told_from_what_there_was(page, claim, tmp_path):
    """Two of five runs were there when the page was written, and one is now."""
    run(of_setting(claim, "large", [0, 1]), tmp_path / "two")
    write_page(answers([claim], tmp_path / "two" / "runs"), tmp_path / "two", command="c")
    run(of_setting(claim, "large", [2]), page)
    before = read_earlier(tmp_path / "two").answer(claim)
    both = fuller(claim.measured(page / "runs"), before)
    assert both.findings["large"].seeds == (0, 1) and both.trained == {"large": 2}
    assert len(both.results.made) == 2 and len(both.results.missing) == 18


def test_what_was_found_is_not_run_again(page, claim, monkeypatch):
    few = {name: claim.settings[name] for name in ("large", "small")}
    monkeypatch.setattr(
        answering,
        "declared_claims",
        lambda *_, **__: {claim.name: dataclasses.replace(claim, settings=few)},
    )
    table = page / "results" / "findings.csv"
    lines = table.read_text().splitlines(keepends=True)
    table.write_text("".join(line for line in lines if ",small," not in line))
    new = answering.results(page, page / "runs", earlier=page, jobs=1, progress=False)
    assert len(list((page / "runs").glob("*.nc"))) == 5  # those of "small"
    assert "from 10 trainings" in new.read_text()


def test_a_time_that_is_not_known_does_not_count(page, claim):
    table = page / "results" / "trainings.csv"
    head, first, *others = table.read_text().splitlines()
    *known, _, error = first.split(",")
    table.write_text("\n".join([head, ",".join([*known, "", error]), *others]) + "\n")
    found = answers([claim], page / "runs", earlier=read_earlier(page))
    text = write_page(found, page, command="c").read_text()
    assert "from 15 trainings, 14 of which took at most 1 minute of processor time" in text


def test_tables_that_are_not_there(tmp_path):
    with pytest.raises(ValueError, match="no .*findings.csv: give the folder in which"):
        read_earlier(tmp_path)
