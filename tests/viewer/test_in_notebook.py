"""The viewer in notebooks: in JupyterLab and Voilà, and by the contract that anywidget keeps."""

import json

import pytest

from keras_lcb.runs.storage import save_run
from keras_lcb.viewer.bundle import static
from keras_lcb.viewer.widget import Viewer
from tests.lab.conftest import context, running, until, visit  # noqa: F401
from tests.lab.test_in_browser import ROOT, Notebook, errors

pytestmark = [pytest.mark.browser, pytest.mark.timeout(600)]

CELLS = (
    "import keras_lcb as lcb\n\nviewer = lcb.Viewer(lcb.load_run('run.nc'))\nviewer",
    "print(viewer.layer)\nviewer.update = 20",
)
# What VS Code's and Colab's managers hand to `render`: an element, and a model of such methods.
CONTRACT = """
async ([script, state]) => {
    const url = URL.createObjectURL(new Blob([script], {type: "text/javascript"}));
    const widget = (await import(url)).default;
    const listeners = {}, saved = [];
    const model = {
        get: (name) => state[name],
        set: (name, value) => { state[name] = value; },
        save_changes: () => saved.push({...state, shown: undefined}),
        on: (event, listener) => (listeners[event] ??= new Set()).add(listener),
        off: (event, listener) => listeners[event].delete(listener),
    };
    const el = document.body.appendChild(document.createElement("div"));
    const end = await widget.render({model, el});
    window.contract = {
        end,
        saved,
        change: (name, value) => {
            state[name] = value;
            listeners[`change:${name}`].forEach((listener) => listener());
        },
        listening: () => Object.values(listeners).reduce((sum, each) => sum + each.size, 0),
    };
}
"""


@pytest.fixture
def page(context, run_factory):  # noqa: F811
    complaints = []
    page = context.new_page()
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.goto("about:blank")
    page.add_style_tag(content=static("viewer.css"))
    state = Viewer(run_factory()).get_state()
    own = {name: state[name] for name in ("shown", "quantity", "layer", "update")}
    page.evaluate(CONTRACT, [static("widget.js"), own])
    yield page
    page.close()
    assert complaints == []


def told(page):
    return page.get_by_role("slider", name="Update").get_attribute("aria-valuetext")


def test_what_the_reader_chooses_is_saved_and_what_python_sets_is_shown(page):
    page.locator('.lcb-node[title="layer_1"]').click()
    assert page.evaluate("contract.saved.at(-1).layer") == "layer_1"
    page.evaluate("contract.change('update', 20)")
    assert told(page) == "update 20 of 100"
    page.evaluate("contract.change('quantity', 'gradient_norm')")
    assert page.get_by_label("Show", exact=True).input_value() == "gradient_norm"


def test_another_run_takes_the_place_and_what_is_chosen_stays(page, run_factory):
    page.locator('.lcb-node[title="layer_1"]').click()
    shown = Viewer(run_factory(rates=(5, 4, 3, 2))).get_state()["shown"]
    page.evaluate("shown => contract.change('shown', shown)", shown)
    assert page.locator(".lcb-node").count() == 4
    assert page.locator('.lcb-node[title="layer_1"]').get_attribute("aria-pressed") == "true"


def test_nothing_is_left_of_a_view_that_ends(page):
    page.evaluate("contract.end()")
    assert page.locator(".lcb-viewer").count() == 0
    assert page.evaluate("contract.listening()") == 0


def test_jupyterlab_and_voila(visit, tmp_path, run_factory):  # noqa: F811
    save_run(run_factory(), tmp_path / "run.nc")
    notebook = json.loads((ROOT / "keras_lcb/lab/page/lab.ipynb").read_text())
    (empty,) = notebook["cells"]
    notebook["cells"] = [
        {**empty, "id": f"cell-{place}", "source": source} for place, source in enumerate(CELLS)
    ]
    (tmp_path / "try.ipynb").write_text(json.dumps(notebook))
    quiet = tmp_path / "settings/@jupyterlab/apputils-extension"
    quiet.mkdir(parents=True)
    news = {"fetchNews": "false", "checkForUpdates": False}
    (quiet / "notification.jupyterlab-settings").write_text(json.dumps(news))
    command = ["-m", "jupyterlab", "--no-browser", "--ip=127.0.0.1", "--allow-root"]
    folders = {
        "JUPYTERLAB_SETTINGS_DIR": str(tmp_path / "settings"),
        "JUPYTERLAB_WORKSPACES_DIR": str(tmp_path / "workspaces"),
        "PYTHONPATH": str(ROOT),
        "KERAS_BACKEND": "jax",  # the quickest to import
    }
    with running(command, tmp_path, **folders) as server:
        place, _, token = server.address.partition("/lab?")
        page = visit(f"{place}/lab/workspaces/auto-x/tree/try.ipynb?reset&{token}")
        opened = Notebook(page)
        opened.run(0)
        before = len(server.log.read_text())
        opened.cell(0).locator(".lcb-viewer").wait_for()
        page.locator('.lcb-node[title="layer_1"]').click()
        opened.run(1)
        assert opened.cell(1).locator(".jp-OutputArea-output").inner_text().strip() == "layer_1"
        until(lambda: told(page) == "update 20 of 100")

        # Voilà's own page asks for icons from elsewhere, which are not to be had here.
        rendered = page.context.new_page()
        rendered.goto(f"{place}/voila/render/try.ipynb?{token}")
        rendered.locator(".lcb-viewer").wait_for()
        until(lambda: told(rendered) == "update 20 of 100")
        for each in (page, rendered):
            each.close()
        assert errors(server, before) == []
