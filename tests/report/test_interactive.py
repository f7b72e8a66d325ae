"""The viewer as part of the report, in a real browser."""

import pytest

from keras_lcb.report import write_report
from keras_lcb.report.interactive import section
from tests.report.test_in_browser import context, visit  # noqa: F401

pytestmark = pytest.mark.browser


def test_what_was_measured_without_training_is_not_played(untrained):
    assert section(untrained) == ""


def test_the_report_stays_one_small_file(run_factory, tmp_path):
    write_report(run_factory(), tmp_path / "report.html")
    assert (tmp_path / "report.html").stat().st_size < 500_000


def test_rows_nodes_and_lines_stand_out_together(visit, run_factory):  # noqa: F811
    page = visit(run_factory())
    page.locator("table.layers tbody tr").nth(1).hover()
    node = page.locator('.lcb-node[title="layer_1"]')
    assert "lcb-hovered" in node.get_attribute("class")
    faded = [f"layer_{n}" for n in (0, 2)]
    assert page.locator("[id^=convergence-line].lcb-faded > title").all_text_contents() == faded
    page.locator('.lcb-node[title="layer_2"]').click()
    chosen = page.locator("table.layers tr.lcb-hovered th")
    assert chosen.all_inner_texts() == ["layer_2"]


def test_the_filter_holds_for_the_table(visit, run_factory):  # noqa: F811
    names = [f"block{block}_conv{layer}" for block in range(3) for layer in range(4)]
    page = visit(run_factory(rates=range(12, 0, -1), layers=names))
    page.get_by_role("searchbox", name="Layers").fill("block2")
    assert page.locator("table.layers tbody tr:visible").count() == 4
