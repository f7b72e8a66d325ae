"""A lab on a projector, on a phone, and on light and dark screens, as its reader sees it."""

import io
import re
from pathlib import Path

import pytest
import zxingcpp
from PIL import Image

from tests.lab.conftest import running, until
from tests.lab.test_in_browser import Lab
from tests.viewer.test_in_browser import violations

pytestmark = [pytest.mark.browser, pytest.mark.timeout(600)]

ROOT = Path(__file__).parents[2]

# What of a lab wraps or is cut. Prose may wrap, and a text field may be scrolled.
FAULTS = r"""() => {
    const lab = document.querySelector(".keras-lcb-lab"), faults = new Set();
    const seen = element => element.getBoundingClientRect().width > 1;
    const pen = document.createElement("canvas").getContext("2d"), arrow = 20;
    for (const select of [...lab.querySelectorAll("select")].filter(seen)) {
        const style = getComputedStyle(select);
        const room = select.clientWidth - parseFloat(style.paddingLeft) - arrow;
        pen.font = style.font;
        for (const { text } of select.options) {
            if (pen.measureText(text).width > room) faults.add(`cut in a list: ${text}`);
        }
    }
    const texts = document.createTreeWalker(lab, NodeFilter.SHOW_TEXT), range = new Range();
    while (texts.nextNode()) {
        const text = texts.currentNode, holder = text.parentElement;
        if (!text.data.trim() || !seen(holder)) continue;
        if (holder.closest("select, style, .keras-lcb-sentence, .uplot")) continue;
        range.selectNodeContents(text);
        const boxes = [...range.getClientRects()].filter(box => box.width);
        if (new Set(boxes.map(box => Math.round(box.top / 4))).size > 1) {
            faults.add(`wraps: ${text.data}`);
        }
        const right = Math.max(...boxes.map(box => box.right));
        for (let within = holder; within; within = within.parentElement) {
            const clips = getComputedStyle(within).overflowX !== "visible" || within === lab;
            if (clips && right > within.getBoundingClientRect().right + 1) {
                faults.add(`cut: ${text.data}`);
            }
        }
    }
    return [...faults];
}"""


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    command = ["-m", "keras_lcb_cli", "lab", "--no-browser", "--projector"]
    folder = tmp_path_factory.mktemp("server")
    with running(command, folder, PYTHONPATH=str(ROOT)) as server:
        yield server


@pytest.fixture
def opened(visit, server):
    """Opens a lab in a window of some size."""

    def opened(query, width=1280, height=720, scheme="light"):
        page = visit("about:blank")
        page.set_viewport_size({"width": width, "height": height})
        page.emulate_media(color_scheme=scheme)
        page.goto(f"{server.address}&{query}")
        return Lab(page)

    return opened


def faults(lab):
    return lab.page.evaluate(FAULTS)


def trained(lab):
    """Predict, and train to the end; return what was wrong with the page on the way."""
    runs = lab.root.locator(".keras-lcb-runs tbody")
    before = runs.count()
    lab.predict("a layer in the middle")
    until(lab.button("Start").is_enabled)
    lab.button("Start").click()
    lab.root.get_by_text(re.compile(r"training: [\d,]+ of 4,000, \d+ s left")).wait_for()
    during = faults(lab)
    until(lambda: runs.count() > before)
    lab.page.wait_for_timeout(500)
    return during


def rate(lab, value):
    lab.labelled("Learning rate", "input").fill(str(value))
    lab.page.keyboard.press("Enter")
    until(lambda: f"learning_rate={value}" in lab.line())


def test_nothing_wraps_or_is_cut_on_a_projector(opened):
    lab = opened("predict=layer&updates=4000&width=64")
    assert faults(lab) == []
    assert trained(lab) == [] and faults(lab) == []
    lab.labelled("Compare with", "select").select_option("run 1")
    rate(lab, 0.05)
    lab.root.get_by_text("Greyed: run 1 was trained with other settings").wait_for()
    assert faults(lab) == []
    lab.labelled("Network", "select").select_option("residual")
    lab.labelled("Optimizer", "select").select_option("SGD with momentum")
    lab.press_right("Depth")
    assert trained(lab) == [] and faults(lab) == []
    rate(lab, 10)
    lab.predict("a deep layer")
    until(lab.button("Start").is_enabled)
    lab.button("Start").click()
    lab.root.get_by_text("ended: the loss has become infinite").wait_for()
    assert faults(lab) == []
    lab.page.add_style_tag(content=".keras-lcb-left { max-width: 300px !important; }")
    assert len(faults(lab)) > 5, "what is measured depends on the room"


@pytest.mark.parametrize("name", ["flatness", "images", "freezing"])
def test_each_lab_opens_on_a_projector_with_nothing_wrapped_or_cut(opened, name):
    lab = opened(f"lab={name}")
    headings = lab.root.locator(".lcb-panel h3").all_inner_texts()
    assert all(headings) and len(headings) >= 3  # also of what is measured only later
    assert faults(lab) == []


def test_a_phone_reads_the_address_without_the_key_from_a_projector(opened):
    lab = opened("depth=2&width=8&updates=200")
    code = lab.root.get_by_role("img", name="QR code of this page's address")

    def read():
        found = zxingcpp.read_barcode(Image.open(io.BytesIO(code.screenshot())))
        return found.text if found else ""

    def address():
        config = re.search(r'from_config\("(.*)"\)', lab.line())[1]
        return f"{lab.page.url.partition('?')[0]}?{config}"

    until(lambda: read() == address() == lab.page.url)
    assert "token" not in read() and "depth=2" in read()
    assert lab.root.get_by_text("It opens on this machine only.").is_visible()
    lab.press_right("Depth")
    until(lambda: "depth=3" in read() and read() == address())


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_before_and_after_a_training(opened, scheme):
    lab = opened("predict=layer&updates=200&width=8&depth=2&projector=false", scheme=scheme)
    paper = lab.page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert (max(map(int, re.findall(r"\d+", paper))) < 60) == (scheme == "dark")
    assert lab.root.locator(".lcb-dark").count() == (scheme == "dark")
    assert violations(lab.page) == []
    lab.predict("a shallow layer")
    until(lab.button("Start").is_enabled)
    lab.button("Start").click()
    until(lambda: lab.root.locator(".keras-lcb-runs tbody").count())
    assert violations(lab.page) == []


def test_on_a_phone_all_parts_have_the_whole_width(opened):
    lab = opened("predict=layer&updates=200&width=8&depth=2&projector=false", 390, 844)
    lab.predict("a shallow layer")
    until(lab.button("Start").is_enabled)
    lab.button("Start").click()
    lab.root.get_by_role("status").get_by_text("done", exact=True).wait_for()
    for part in (".keras-lcb-predict", ".keras-lcb-status", ".keras-lcb-right"):
        assert lab.root.locator(part).bounding_box()["width"] > 330, part
    assert lab.page.evaluate("document.documentElement.scrollWidth") <= 390


def test_the_charts_use_the_height_of_the_window(opened):
    lab = opened("width=8&depth=2&projector=false", 1920, 1080)
    chart = lab.root.locator(".lcb-plot canvas").first
    until(lambda: chart.bounding_box()["height"] > 270)
    lab.page.set_viewport_size({"width": 1920, "height": 720})
    until(lambda: chart.bounding_box()["height"] < 200)
