"""The report in a real browser, as a reader has it: both themes, a wide screen and a phone."""

import numpy as np
import pytest

from keras_lcb.report import write_report

pytestmark = pytest.mark.browser

_FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


@pytest.fixture(scope="module")
def context(chromium, tmp_path_factory):
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        context = playwright.chromium.launch_persistent_context(
            tmp_path_factory.mktemp("profile"),
            executable_path=chromium,
            headless=True,
            args=_FLAGS,
        )
        yield context
        context.close()


@pytest.fixture
def visit(context, tmp_path):
    """Opens a run's report; afterwards nothing may have been complained of or asked for."""
    complaints, requests, pages = [], [], []
    address = (tmp_path / "report.html").as_uri()

    def visit(run, theme="light", width=1280):
        write_report(run, tmp_path / "report.html")
        page = context.new_page()
        pages.append(page)
        page.on("console", lambda message: complaints.append(message.text))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("request", lambda request: requests.append(request.url))
        page.on("dialog", lambda dialog: complaints.append(f"dialog: {dialog.message}"))
        page.set_viewport_size({"width": width, "height": 900})
        page.emulate_media(color_scheme=theme)
        page.goto(address)
        return page

    yield visit
    for page in pages:
        page.close()
    assert complaints == []
    assert set(requests) <= {address, "data:,"}


def relative_luminance(page, element, what):
    """Relative luminance (WCAG 2.1) of a computed colour."""
    pixel = page.locator(element).first.evaluate(
        """(element, what) => {
            const context = new OffscreenCanvas(1, 1).getContext("2d");
            context.fillStyle = getComputedStyle(element)[what];
            context.fillRect(0, 0, 1, 1);
            return [...context.getImageData(0, 0, 1, 1).data];
        }""",
        what,
    )
    channels = np.array(pixel[:3]) / 255
    linear = np.where(channels <= 0.04045, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4)
    return float(linear @ [0.2126, 0.7152, 0.0722])


def contrast(one, other):
    low, high = sorted((one, other))
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
def test_fits_the_window_and_can_be_read(visit, run_factory, theme, width):
    names = [f"encoder/stage{depth}/a_very_long_name_without_end/conv" for depth in range(20)]
    run = run_factory(rates=np.linspace(6, 1, 20), layers=names)
    page = visit(run, theme, width)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert page.locator("section > .figures svg").count() == 4
    for drawing in page.locator("section > .figures svg").all():
        box = drawing.bounding_box()
        assert box["x"] >= 0 and box["x"] + box["width"] <= width
        assert box["height"] > 200
    paper = relative_luminance(page, "figure", "backgroundColor")
    assert (paper > 0.5) is (theme == "light")
    assert contrast(paper, relative_luminance(page, "figure svg text", "fill")) >= 7
    assert contrast(paper, relative_luminance(page, "figcaption", "color")) >= 4.5
    for layer in (0, 19):
        line = f"#convergence-line-{layer} path"
        assert contrast(paper, relative_luminance(page, line, "stroke")) >= 3


def column(page, number):
    return [
        row.locator("td, th").nth(number).get_attribute("data-value")
        for row in page.locator("table.layers tbody tr").all()
    ]


def test_the_table_sorts_by_click(visit, run_factory):
    distance = [[1.0, 1.0, 0.0, 1.0], [0.6, 0.2, 0.0, 0.9], [0.0, 0.0, 0.0, 0.0]]
    page = visit(run_factory(distance, steps=(0, 10, 2000)))
    headings = page.locator("table.layers thead th")
    names = [heading.inner_text().strip() for heading in headings.all()]
    assert headings.nth(names.index("depth")).get_attribute("aria-sort") == "ascending"
    time = names.index("time to half")
    button = headings.nth(time).get_by_role("button")

    button.click()
    assert headings.nth(time).get_attribute("aria-sort") == "ascending"
    assert page.locator("[aria-sort]").count() == 1
    found = column(page, time)
    assert found[-1] == ""  # the layer that never moved
    assert [float(value) for value in found[:-1]] == sorted(map(float, found[:-1]))
    assert column(page, 0) == ["layer_1", "layer_0", "layer_3", "layer_2"]

    button.click()
    assert headings.nth(time).get_attribute("aria-sort") == "descending"
    assert column(page, 0) == ["layer_3", "layer_0", "layer_1", "layer_2"]


def test_numbers_sort_by_size_however_they_are_written(visit, run_factory):
    run = run_factory()
    run["gradient_norm"][1:] = [0.02, 3e-5, 1.5e7]
    page = visit(run)
    norm = page.locator("table.layers thead button", has_text="gradient norm").first
    norm.click()
    assert column(page, 0) == ["layer_1", "layer_0", "layer_2"]


def test_the_table_sorts_by_keyboard(visit, run_factory):
    names = ["conv_10", "conv_9", "Conv_1"]
    page = visit(run_factory(layers=names))
    page.locator("table.layers thead button").first.focus()
    page.keyboard.press("Enter")
    assert column(page, 0) == ["Conv_1", "conv_9", "conv_10"]
    page.keyboard.press("Space")
    assert column(page, 0) == ["conv_10", "conv_9", "Conv_1"]
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    assert page.locator("[aria-sort]").inner_text().strip() == "depth"
    assert column(page, 0) == names


def test_hostile_names_run_nothing_and_are_shown(visit, hostile):
    page = visit(hostile)
    assert page.locator("img").count() == 0
    assert page.locator("tbody th").first.inner_text() == "<script>alert(1)</script>"
    assert "alert(3)" in page.locator("pre").first.inner_text()


def test_a_run_that_diverged_says_so_in_view(visit, diverged):
    page = visit(diverged, "dark", 390)
    notice = page.locator("p.notice")
    assert "update 55" in notice.inner_text()
    assert notice.bounding_box()["y"] < 900


def test_lines_name_themselves(visit, run_factory):
    page = visit(run_factory())
    titles = page.locator("[id^=convergence-line] > title").all_text_contents()
    assert titles == ["layer_0", "layer_1", "layer_2"]


def test_printing_is_on_white(visit, run_factory):
    page = visit(run_factory(), "dark")
    page.emulate_media(media="print", color_scheme="dark")
    assert relative_luminance(page, "figure", "backgroundColor") > 0.9
    assert relative_luminance(page, "figure svg text", "fill") < 0.1
