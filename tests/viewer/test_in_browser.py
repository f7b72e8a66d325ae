"""The viewer in a real browser, on a page of its own."""

import base64
import io
import os
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from PIL import Image

from keras_lcb.report import interactive

pytestmark = pytest.mark.browser

AXE = Path(__file__).parents[2] / "viewer" / "node_modules" / "axe-core" / "axe.min.js"
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


@pytest.fixture(scope="module")
def browser(chromium):
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=FLAGS)
        yield browser
        browser.close()


def page_of(run):
    """What a report has of the viewer, without the figures, which take longer."""
    return (
        '<!doctype html><html lang="en"><meta charset="utf-8"><title>A run</title>'
        '<meta name="viewport" content="width=device-width"><link rel="icon" href="data:,">'
        f"<style>:root {{ color-scheme: light dark }} body {{ margin: 1rem; background: Canvas }}"
        f"{interactive.style()}</style>"
        f"<body><main><h1>A run</h1>{interactive.section(run)}</main>"
        f"<script>{interactive.script()}</script></body></html>"
    )


@pytest.fixture
def visit(browser, tmp_path):
    """Opens a page with a run; afterwards nothing may have been complained of or asked for."""
    complaints, requests, contexts = [], [], []
    address = (tmp_path / "page.html").as_uri()

    def visit(run, width=1280, **settings):
        (tmp_path / "page.html").write_text(page_of(run), encoding="utf-8")
        context = browser.new_context(viewport={"width": width, "height": 720}, **settings)
        contexts.append(context)
        page = context.new_page()
        page.on("console", lambda message: complaints.append(message.text))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("request", lambda request: requests.append(request.url))
        page.goto(address)
        return page

    yield visit
    for context in contexts:
        context.close()
    assert complaints == []
    assert set(requests) <= {address, "data:,"}


@pytest.fixture
def deep(run_factory):
    names = [f"stage{s}_block{b}_conv{c}" for s in (1, 2) for b in (1, 2, 3) for c in (1, 2, 3, 4)]
    names = ["stem_conv", *names, "head"]
    return run_factory(rates=np.linspace(6, 1, len(names)), layers=names)


@pytest.fixture
def eventful(run_factory):
    run = run_factory()
    run["learning_rate"][4:] = 0.01
    run["update_norm"][6:, 0] = 0.0
    return run


def violations(page):
    """What axe-core, the checker of accessibility, has to say."""
    if not AXE.exists():
        if os.environ.get("KERAS_LCB_REQUIRE_BROWSER") == "1":
            pytest.fail(f"{AXE} is missing: make viewer")
        pytest.skip("axe-core is not installed: make viewer")
    # The page's own policy allows no other script, so it is given from outside.
    page.evaluate(AXE.read_text(encoding="utf-8"))
    found = page.evaluate("axe.run(document, {resultTypes: ['violations'], preload: false})")
    return [
        f"{each['id']}: {node['target']} {node['failureSummary']}"
        for each in found["violations"]
        for node in each["nodes"]
    ]


def slider(page):
    return page.get_by_role("slider", name="Update")


def node(page, name):
    return page.locator(f'.lcb-node[title="{name}"]')


def picture(page, panel="quantity"):
    return page.locator(f".lcb-{panel} canvas").first.evaluate("canvas => canvas.toDataURL()")


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_axe_finds_nothing(visit, deep, eventful, theme):
    for run in (deep, eventful):
        page = visit(run, color_scheme=theme)
        page.locator(".lcb-viewer").wait_for()
        assert violations(page) == []


@pytest.mark.parametrize("width", [320, 390, 1920])
def test_it_fits_the_window(visit, deep, width):
    page = visit(deep, width)
    node(page, "stage1_block1").click()
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    for panel in page.locator(".lcb-panel").all():
        box = panel.bounding_box()
        assert box["x"] >= 0 and box["x"] + box["width"] <= width
    if width == 1920:
        assert page.locator(".lcb-viewer").bounding_box()["width"] > 1700


def test_without_scripts_nothing_is_shown(visit, run_factory):
    page = visit(run_factory(), java_script_enabled=False)
    assert not page.get_by_role("heading", name="Play through the training").is_visible()


def test_the_scrubber_moves_all_panels_and_says_where_it_is(visit, run_factory):
    run = run_factory()
    page = visit(run)
    half_way = int((run.normalized_distance.mean("layer") <= 0.5).values.argmax())
    start = run.step.values[half_way]
    assert slider(page).get_attribute("aria-valuetext") == f"update {start} of 100"
    slider(page).focus()
    page.keyboard.press("End")
    at_the_end = picture(page), picture(page, "loss")
    page.keyboard.press("Home")
    page.keyboard.press("ArrowRight")
    assert slider(page).get_attribute("aria-valuetext") == "update 10 of 100"
    assert all(
        now != before
        for now, before in zip((picture(page), picture(page, "loss")), at_the_end, strict=True)
    )
    expected = float(run.normalized_distance.sel(step=10, layer="layer_1"))
    assert float(node(page, "layer_1").locator(".lcb-value").inner_text()) == pytest.approx(
        expected, rel=5e-3
    )
    page.get_by_role("status").filter(has_text="Update 10 of 100.").wait_for()


def test_play_goes_on_to_the_end(visit, run_factory):
    page = visit(run_factory(), reduced_motion="reduce")
    page.clock.install()
    slider(page).focus()
    page.keyboard.press("End")
    page.get_by_role("button", name="Play").click()
    assert slider(page).get_attribute("aria-valuetext") == "update 0 of 100"
    page.clock.run_for(3200)
    assert slider(page).get_attribute("aria-valuetext") == "update 30 of 100"
    page.get_by_role("button", name="Pause").click()
    page.clock.run_for(3000)
    assert slider(page).get_attribute("aria-valuetext") == "update 30 of 100"


def test_a_logarithmic_axis_may_begin_anywhere(visit, run_factory):
    run = run_factory()
    run["loss"] = ("step", np.geomspace(0.0806, 0.00112, 8))
    page = visit(run)
    assert page.locator(".lcb-loss canvas").first.evaluate(
        """canvas => canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height)
            .data.some((value) => value > 0)"""
    )


def test_any_quantity_is_shown(visit, run_factory):
    page = visit(run_factory())
    menu = page.get_by_label("Show", exact=True)
    before = picture(page)
    for option in menu.locator("option").all_inner_texts():
        menu.select_option(label=option)
        assert page.locator(".lcb-quantity h3").inner_text() == option
    assert picture(page) != before


def test_pointing_reads_layer_update_and_value(visit, run_factory):
    page = visit(run_factory())
    over = page.locator(".lcb-quantity .u-over")
    box = over.bounding_box()
    # The line of the slowest layer passes near the middle at half of its way.
    over.hover(position={"x": box["width"] * 0.4, "y": box["height"] * 0.5})
    reading = page.locator(".lcb-quantity .lcb-reading").inner_text()
    assert reading.startswith("layer_2, update 40: ")
    run = run_factory()
    expected = float(run.normalized_distance.sel(step=40, layer="layer_2"))
    value, beside = reading.split(": ")[1].split(" · ")
    assert float(value) == pytest.approx(expected, rel=5e-3)
    norm = float(run.gradient_norm.sel(step=40, layer="layer_2"))
    assert beside.startswith("RMS gradient norm since the last record ")
    assert float(beside.split()[-1]) == pytest.approx(norm, rel=5e-3)


def test_the_keyboard_goes_from_node_to_node(visit, run_factory):
    page = visit(run_factory())
    node(page, "layer_0").focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Enter")
    assert node(page, "layer_1").get_attribute("aria-pressed") == "true"
    assert "layer_1, update " in page.locator(".lcb-quantity .lcb-reading").inner_text()


def test_deep_networks_stand_in_blocks_that_open(visit, deep):
    page = visit(deep)
    assert page.locator(".lcb-node").count() == 8
    block = node(page, "stage1_block1")
    assert block.get_attribute("aria-expanded") == "false"
    block.click()
    assert node(page, "stage1_block1").get_attribute("aria-expanded") == "true"
    assert page.locator(".lcb-node").count() == 12
    page.get_by_label("In blocks").uncheck()
    assert page.locator(".lcb-node").count() == 26
    page.get_by_role("searchbox", name="Layers").fill("block2")
    assert page.locator(".lcb-node").count() == 8


def test_nodes_of_convolutions_hold_filters_which_change(visit, run_factory):
    run = run_factory()
    over = ("step", "layer", "filter", "row", "column")
    filters = np.random.default_rng(0).normal(size=(len(run.step), 3, 4, 3, 3))
    filters[:, 2] = np.nan
    page = visit(run.assign(filters=(over, filters)))
    assert "Tiles: filters; grey is 0." in page.locator(".lcb-ends").inner_text()
    tiles = page.locator(".lcb-tiles")
    assert [tiles.nth(i).is_visible() for i in range(3)] == [True, True, False]
    slider(page).focus()
    for key, step in (("Home", 0), ("End", -1)):
        page.keyboard.press(key)
        address = tiles.nth(1).evaluate("canvas => canvas.toDataURL()")
        drawn = Image.open(io.BytesIO(base64.b64decode(address.partition(",")[2])))
        assert drawn.size == (4 * 3 + 3, 3)
        greys = 128 + 127 * filters[step, 1, 0] / np.abs(filters[:, 1]).max()
        np.testing.assert_allclose(np.asarray(drawn)[:, :3, 1], greys, atol=0.6)


def test_events_are_listed_and_lead_there(visit, eventful):
    page = visit(eventful)
    listed = page.locator(".lcb-events button").all_inner_texts()
    assert listed == [
        "learning rate 0.1 → 0.01 (update 40)",
        "layer_0 no longer moves (update 80)",
    ]
    page.locator(".lcb-events button").first.click()
    assert slider(page).get_attribute("aria-valuetext") == "update 40 of 100"


def test_a_run_that_diverged_keeps_what_came_before(visit, diverged):
    page = visit(diverged)
    assert "NaN or infinity from here on (update 55)" in page.locator(".lcb-events").inner_text()
    slider(page).focus()
    page.keyboard.press("Home")
    assert node(page, "layer_0").locator(".lcb-value").inner_text() == "1"
    page.keyboard.press("End")
    assert node(page, "layer_0").locator(".lcb-value").inner_text() == "–"


def test_why_a_layer_has_no_value_is_said(visit, run_factory):
    reason = {"normalized_distance/layer_1": "It never moved."}
    distance = [[1.0, 0.0, 1.0], [0.5, 0.0, 0.7], [0.0, 0.0, 0.0]]
    page = visit(run_factory(distance, steps=(0, 10, 20), attrs={"missing": reason}))
    node(page, "layer_1").click()
    reading = page.locator(".lcb-quantity .lcb-reading").inner_text()
    assert ": – It never moved. · RMS" in reading


def test_seeds_are_drawn_as_a_band(visit, run_factory):
    runs = [run_factory(rates=(5.0 + 3 * shift, 2.0, 1.0)) for shift in range(3)]
    seeds = xr.DataArray(range(3), dims="seed", name="seed")
    alike = [run_factory(rates=(5.0, 2.0, 1.0))] * 3
    pictures = [picture(visit(xr.concat(each, seeds, data_vars="all"))) for each in (runs, alike)]
    assert pictures[0] != pictures[1]
    page = visit(xr.concat(runs, seeds, data_vars="all"))
    assert "Mean of 3 seeds" in page.locator(".lcb-about").inner_text()


def test_hostile_names_run_nothing(visit, hostile):
    page = visit(hostile)
    assert node(page, "<script>alert(1)</script>").count() == 1
    assert page.locator("img").count() == 0


def test_a_page_that_turns_dark_is_drawn_anew(visit, run_factory):
    page = visit(run_factory(), color_scheme="light")
    before = picture(page)
    page.emulate_media(color_scheme="dark")
    page.locator(".lcb-viewer.lcb-dark").wait_for()
    assert picture(page) != before
