"""The atlas in a real browser, from a file, as a reader opens it."""

import pytest

from tests.viewer.test_in_browser import browser, node, picture, slider, violations  # noqa: F401

pytestmark = pytest.mark.browser


@pytest.fixture
def visit(browser, atlas):  # noqa: F811
    address = atlas[0].as_uri()
    complaints, contexts = [], []

    def visit(place="", width=1280, **settings):
        context = browser.new_context(viewport={"width": width, "height": 720}, **settings)
        contexts.append(context)
        page = context.new_page()
        page.on("console", lambda message: complaints.append(message.text))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on(
            "request",
            lambda request: (
                None if request.url.startswith(("file:", "data:")) else complaints.append(request)
            ),
        )
        page.goto(address + place)
        page.locator(".lcb-viewer").wait_for()
        return page

    yield visit
    for context in contexts:
        context.close()
    assert complaints == []


def predict(page, answer="The first hidden layer"):
    page.get_by_role("button", name=answer).click()
    page.get_by_role("heading", name="What happened").wait_for()


def test_before_the_prediction_there_is_a_picture_and_no_result(visit):
    page = visit()
    assert page.locator(".lcb-functions canvas").first.is_visible()
    assert "before training" in page.locator(".lcb-about").inner_text()
    assert not page.locator(".lcb-quantity").is_visible()
    assert not slider(page).is_visible()


def test_the_prediction_opens_the_run_and_is_compared_with_it(visit):
    page = visit(reduced_motion="reduce")
    predict(page)
    told = page.locator(".lcb-prediction").inner_text()
    assert "You said: the first hidden layer." in told
    assert "Half the way: layer_0 at update" in told
    assert page.locator(".lcb-quantity").is_visible()
    assert slider(page).get_attribute("aria-valuetext").endswith("of 100")


def test_a_dial_gives_another_training_and_a_reload_the_same(visit):
    page = visit()
    before = picture(page, "functions")
    page.get_by_role("radio", name="square wave").check()
    assert picture(page, "functions") != before
    predict(page)
    page.wait_for_url(lambda url: "target=square+wave" in url and "&seen" in url)
    page.reload()
    page.get_by_role("heading", name="What happened").wait_for()
    assert page.get_by_role("radio", name="square wave").is_checked()


def test_two_trainings_side_by_side_have_the_same_scales_and_their_names(visit):
    page = visit("#seen")
    page.get_by_role("button", name="Keep this one as A").click()
    page.get_by_role("radio", name="residual").check()
    headings = page.locator(".lcb-column h2")
    headings.nth(1).filter(has_text="residual").wait_for()
    assert headings.all_inner_texts() == ["A: connections plain", "B: connections residual"]
    page.get_by_role("status").filter(has_text="B: connections residual. Update").wait_for()
    told = page.locator(".lcb-prediction").inner_text()
    assert "A: Half the way: layer_0 " in told and "B: Half the way: layer_0 " in told
    bars = page.locator(".lcb-ends").all_inner_texts()
    assert len(bars) == 2 and bars[0] == bars[1]
    page.get_by_role("button", name="Let go of A").click()
    page.wait_for_function("document.querySelectorAll('.lcb-column').length === 1")


def test_digits_show_what_is_learned(visit):
    page = visit()
    page.get_by_role("radio", name="Handwritten digits").check()
    page.get_by_role("img", name="10 images").wait_for()
    predict(page, "About the same")
    assert node(page, "conv_0").is_visible()


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_axe_finds_nothing(visit, theme):
    page = visit(color_scheme=theme)
    assert violations(page) == []
    predict(page)
    page.get_by_role("button", name="Pause").click()
    assert violations(page) == []


@pytest.mark.parametrize("width", [320, 390, 1280, 1920])
def test_it_fits_the_window(visit, width):
    page = visit("#seen&large", width)
    assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_a_projector_has_room_for_dials_network_and_picture(visit):
    page = visit()
    assert page.evaluate("document.documentElement.scrollHeight") <= 720
    predict(page)
    box = page.locator(".lcb-quantity .lcb-plot").bounding_box()
    assert box["y"] + box["height"] <= 720
