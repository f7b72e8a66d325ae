"""The lab as a learner has it: in a real browser, served by Voilà and by JupyterLab."""

import json
import re
import shutil
import time
from pathlib import Path

import pytest

from tests.lab.conftest import running, until

# They wait for what they want to see, however busy the machine is.
pytestmark = [pytest.mark.browser, pytest.mark.timeout(600)]

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "keras_lcb/lab/page"

# A kernel that, once started, is busy for ever and sends something ten times a second, as a lab
# does that trains: jupyter_server's own culling would never end it.
CELL = """
import os, pathlib, threading, time, ipywidgets

button = ipywidgets.Button(description="Start")
label = ipywidgets.Label(os.environ["QUERY_STRING"].split("&", 1)[-1])

def train():
    for update in range(10**9):
        label.value = str(update)
        pathlib.Path("alive").write_text(str(update))
        time.sleep(0.1)

button.on_click(lambda _: threading.Thread(target=train).start())
ipywidgets.VBox([button, label])
"""

SERVER = """
import pathlib
import keras_lcb_cli
from traitlets.config import Config
settings = Config()
settings.LabKernels.orphaned_after = 2.0
settings.LabKernels.unopened_after = 60.0
settings.LabKernels.cull_interval = 1
server = keras_lcb_cli.lab_server()
server.PAGE = pathlib.Path("page")
server.serve(settings=settings)
"""


# What a page sends as it closes.
GOODBYE = """async () => {
    const {kernelId} = JSON.parse(document.getElementById("jupyter-config-data").textContent);
    return (await fetch(`/voila/api/shutdown/${kernelId}`, {method: "POST"})).status;
}"""


def serving(folder):
    """The lab's own server, with a notebook that needs no Keras and with shorter times."""
    notebook = json.loads((PAGE / "lab.ipynb").read_text())
    notebook["cells"][0]["source"] = CELL
    shutil.copytree(PAGE, folder / "page")
    (folder / "page/lab.ipynb").write_text(json.dumps(notebook))
    return running(["-c", SERVER], folder, PYTHONPATH=str(ROOT))


def started(page):
    """Start the endless training of a page."""
    page.locator("button.jupyter-button").click()
    page.locator(".widget-label", has_text=re.compile(r"^\d+$")).wait_for()


def test_a_closed_page_leaves_no_kernel(visit, tmp_path):
    with serving(tmp_path) as server:
        stranger = visit(server.address.partition("?")[0] + "?token=guess")
        assert "/login" in stranger.url
        assert server.kernels() == []

        kept = visit(server.address + "&depth=3&target=x%2A%2A2")
        label = kept.locator(".widget-label")
        label.wait_for()
        assert kept.title() == "Which layer learns first?"
        assert label.inner_text() == "depth=3&target=x%2A%2A2"
        assert kept.get_by_text("import").count() == 0

        closed = visit(server.address)
        started(closed)
        assert len(server.kernels()) == 2
        # As when the browser is killed: the page cannot say that it goes.
        closed.close(run_before_unload=False)
        until(lambda: len(server.kernels()) == 1)
        last = (tmp_path / "page/alive").read_text()
        time.sleep(1)
        assert (tmp_path / "page/alive").read_text() == last

        started(kept)
        kernels = server.kernels()
        assert kept.evaluate(GOODBYE) == 204
        until(lambda: server.kernels() == [])
        kept.close(run_before_unload=False)
    assert not any(Path(f"/proc/{kernel}").exists() for kernel in kernels)
    assert server.log.read_text().count("\n") == 2, server.log.read_text()


SETTINGS = "depth=3&width=16&updates=20000&speed=200&predict=layer"
# The pixels of all charts in few letters.
PIXELS = """async charts => {
    const told = charts.map(canvas => canvas.toDataURL()).join("");
    const bytes = new TextEncoder().encode(told);
    const digest = charts.length ? await crypto.subtle.digest("SHA-1", bytes) : [];
    return String(new Uint8Array(digest));
}"""
FILES = {
    "data (CSV)": b"step,layer,normalized_distance,",
    "data (netCDF)": b"\x89HDF\r\n\x1a\n",
    "figure (PNG)": b"\x89PNG\r\n\x1a\n",
    "figure (SVG)": b"<?xml",
    "film (GIF)": b"GIF89a",
}
SUFFIXES = {"data (netCDF)": "nc"}  # where it is not what stands in brackets


class Lab:
    """A lab on a page, as who uses it finds its parts: by their labels."""

    def __init__(self, page, within=None):
        self.page = page
        self.root = (within or page).locator(".keras-lcb-lab")
        self.root.wait_for()
        until(self.picture)

    def button(self, name):
        return self.root.locator("button.jupyter-button", has_text=re.compile(f"^{name}$"))

    def labelled(self, name, kind):
        label = self.root.locator("label", has_text=re.compile(f"^{name}$"))
        return label.locator("xpath=..").locator(kind)

    def number(self, name):
        return float(self.labelled(name, "input").input_value())

    def slider(self, name):
        return self.root.get_by_role("slider", name=name, exact=True)

    def press_right(self, name):
        """Move a slider by keyboard, and return the number that then stands beside it."""
        before = self.number(name)
        self.slider(name).focus()
        self.page.keyboard.press("ArrowRight")
        until(lambda: self.number(name) != before)
        return self.number(name)

    def predict(self, answer):
        self.root.locator(".keras-lcb-predict label", has_text=answer).click()

    def picture(self):
        return self.root.locator(".lcb-plot canvas").evaluate_all(PIXELS)

    def see_change(self):
        before = self.picture()
        until(lambda: self.picture() not in ("", before))

    def export(self, kind):
        """Save the chosen run, or the picture, as a file, and return what is in it."""
        self.labelled("as", "select").select_option(kind)
        # A click that comes sooner may overtake the choice on its way.
        self.root.get_by_text(f"Press Export for the {kind}.").wait_for()
        self.button("Export").click()
        suffix = SUFFIXES.get(kind, kind[-4:-1].lower())
        link = self.root.locator("a[download]", has_text=f".{suffix}")
        link.wait_for()
        with self.page.expect_download() as download:
            link.click()
        return Path(download.value.path()).read_bytes()

    def start(self):
        until(self.button("Start").is_enabled)
        self.button("Start").click()
        for _ in range(3):
            self.see_change()

    def stop(self):
        """Stop, and return the seconds until the lab says so."""
        self.button("Stop").click()
        return until(lambda: self.root.get_by_text("stopped", exact=True).count(), every=0.01)

    def delay(self):
        """Seconds that this machine takes at present to answer three keys, while it trains."""
        return sum(self._answer() for _ in range(3))

    def _answer(self):
        before = self.line()
        self.slider("Learning rate").focus()
        self.page.keyboard.press("ArrowRight")
        return until(lambda: self.line() != before, every=0.01)

    def said(self):
        return self.root.locator(".keras-lcb-sentence").inner_text()

    def line(self):
        return self.root.get_by_label("This lab in one line").input_value()


def learn(lab, files):
    """What a learner does: predict, vary, start, stop, compare, take home, go back."""
    assert lab.button("Start").is_disabled()
    lab.predict("a shallow layer")
    until(lab.button("Start").is_enabled)
    assert lab.press_right("Depth") == 4
    # No step of its slider, which must not matter before somebody moves it.
    assert lab.number("Learning rate") == 0.02
    assert lab.press_right("Learning rate") == 0.0251

    lab.start()
    assert lab.press_right("Learning rate") == 0.0316
    delay, took = lab.delay(), lab.stop()
    until(
        lambda: (
            lab.said().startswith("Run 1, with distances to its final weights.") and lab.picture()
        )
    )
    at_rest = lab.picture(), lab.root.inner_text()
    time.sleep(1)
    assert (lab.picture(), lab.root.inner_text()) == at_rest
    assert lab.root.locator(".keras-lcb-predict tr", has_text="observed").count() == 1
    assert lab.root.locator(".keras-lcb-runs tr").count() == 2

    lab.labelled("Compare with", "select").select_option(index=1)
    lab.press_right("Depth")
    lab.predict("a deep layer")
    lab.start()
    assert min(took, lab.stop()) < 0.5 + delay  # one of them, where others keep the machine busy
    until(lambda: lab.root.locator(".keras-lcb-runs tr").count() == 3)
    until(lambda: lab.said().startswith("A:") and " B:" in lab.said())

    for kind in files:
        content = lab.export(kind)
        assert content.startswith(FILES[kind])
        assert kind != "figure (SVG)" or b"<svg" in content

    compared = lab.picture()
    lab.labelled("Run", "select").select_option(index=1)
    lab.button("Restore").click()
    until(lambda: lab.said().startswith("Run 1, from the table of past runs."))
    until(lambda: lab.number("Depth") == 4 and lab.picture() not in ("", compared))

    lab.labelled("Target", "select").select_option("own formula")
    # Only when the lab says so has it taken in what was chosen.
    lab.root.get_by_text("Type a formula").wait_for()
    lab.labelled(r"f\(x\) =", "input").fill("sine(x)")
    lab.page.keyboard.press("Enter")
    lab.root.get_by_text("did you mean 'sin'?").wait_for()
    lab.labelled(r"f\(x\) =", "input").fill("sin(x) + 0.3*sin(3*x)")
    lab.page.keyboard.press("Enter")
    until(lambda: "sin" in lab.line())


def errors(server, since=0):
    """What a server and its kernels complain of in their log."""
    return re.findall(
        r"^.*(?:Traceback|Exception|Error|^\[[EC] ).*$", server.log.read_text()[since:], re.M
    )


def fits(page, width, height, folder):
    page.set_viewport_size({"width": width, "height": height})
    page.wait_for_timeout(300)
    page.screenshot(path=folder / f"lab-{width}.png", full_page=True)
    return page.evaluate("document.documentElement.scrollWidth") <= width


def test_voila(visit, tmp_path):
    with running(["-m", "keras_lcb_cli", "lab"], tmp_path, PYTHONPATH=str(ROOT)) as server:
        lab = Lab(visit(f"{server.address}&{SETTINGS}"))
        for name, term in (("Depth", "How many hidden layers"), ("Optimizer", "How an update")):
            label = lab.root.locator("label", has_text=re.compile(f"^{name}$"))
            assert label.evaluate("e => e.title + e.innerHTML").count(term) == 1
        learn(lab, FILES)
        assert fits(lab.page, 390, 844, tmp_path)
        assert fits(lab.page, 1280, 720, tmp_path)
        config = re.search(r'DepthLab.from_config\("(.*)"\)', lab.line())[1]
        until(lambda: lab.page.url.endswith(f"?{config}"))
        # The address is that of this lab: the token is in a cookie by now.
        again = Lab(visit(lab.page.url))
        assert again.line() == lab.line()
        for name in ("Depth", "Learning rate", "Updates"):
            assert again.number(name) == lab.number(name)
        for page in (lab.page, again.page):
            page.close()
        assert errors(server) == []


def test_the_address_asks_for_the_other_lab(visit, tmp_path):
    asked = "lab=flatness&depth=2&width=16&updates=20000"
    with running(["-m", "keras_lcb_cli", "lab"], tmp_path, PYTHONPATH=str(ROOT)) as server:
        page = visit(f"{server.address}&{asked}")
        lab = Lab(page)
        assert 'lcb.lab.FlatnessLab.from_config("' in lab.line()
        lab.predict("a deep layer")
        until(lab.button("Start").is_enabled)
        lab.button("Start").click()
        lab.root.get_by_text("compiling the measurement").wait_for()
        until(lambda: "has the largest stable learning rate" in lab.said())
        lab.stop()
        until(lambda: lab.said().startswith("Run 1, with distances to its final weights."))
        page.close()
        assert errors(server) == []


# Cells of a notebook: a lab to learn with, a small one beside it, and how many threads they have.
CELLS = (
    f"import keras_lcb as lcb\n\nlab = lcb.lab.DepthLab.from_config('{SETTINGS}')\nlab",
    "other = lcb.lab.DepthLab(depth=2, width=8, updates=2000, speed=100, seeds=2, "
    "show=['speed', 'history'])\nother",
    "import threading\n"
    "print(sum(thread.name == 'keras_lcb.lab' for thread in threading.enumerate()), 'threads')",
)

JUPYTERLAB = {
    "apputils-extension/notification": {"fetchNews": "false", "checkForUpdates": False},
    # Otherwise a cell that is scrolled away has no text, although its lab goes on.
    "notebook-extension/tracker": {"windowingMode": "none"},
}


class Notebook:
    """A notebook in JupyterLab."""

    def __init__(self, page):
        self.page = page
        self.cell(0).wait_for()

    def cell(self, place):
        return self.page.locator(".jp-Notebook .jp-CodeCell").nth(place)

    def number(self, place):
        """What stands before a cell: nothing, a star while it runs, then its number."""
        return self.cell(place).locator(".jp-InputPrompt").inner_text().strip("[]: ")

    def run(self, place):
        """Run a cell to its end, and press again where a key came too early."""
        before = self.number(place)
        while self.number(place) == before:
            self.cell(place).locator(".cm-content").click()
            self.page.keyboard.press("Control+Enter")
            self.page.wait_for_timeout(1000)
        until(lambda: self.number(place).isdecimal())

    def threads(self):
        """How many threads the labs have."""
        self.run(2)
        return self.cell(2).locator(".jp-OutputArea-output").inner_text().strip()


def beside_each_other(notebook, first):
    """Two labs run; one is stopped, and made anew by its cell: the other goes on."""
    notebook.run(1)
    other = Lab(notebook.page, notebook.cell(1))
    controls = other.root.locator("label:not(.lcb-viewer label)")
    assert set(controls.all_text_contents()) - {""} == {"Speed", "Run", "as"}
    first.predict("a deep layer")
    first.start()
    other.start()
    first.see_change()
    first.stop()
    until(lambda: first.root.locator(".keras-lcb-runs tr").count() == 4)
    until(lambda: "So far" not in first.said() and first.picture())
    at_rest = first.picture()
    other.see_change()
    assert first.picture() == at_rest

    first.predict("a shallow layer")
    first.start()
    notebook.run(0)
    again = Lab(notebook.page, notebook.cell(0))
    assert again.root.locator(".keras-lcb-runs tr").count() == 0
    until(lambda: notebook.threads() == "2 threads")  # those of the other lab
    other.see_change()
    again.predict("a shallow layer")
    again.start()
    again.stop()

    other.labelled("Speed", "select").select_option("full")
    until(lambda: other.said().startswith("Run 1, with distances to its final weights."))
    assert "2 seeds" in other.root.locator(".keras-lcb-runs").inner_text()
    assert "Mean of 2 seeds" in other.root.locator(".lcb-about").inner_text()
    until(lambda: notebook.threads() == "0 threads")


def test_jupyterlab(visit, tmp_path):
    notebook = json.loads((PAGE / "lab.ipynb").read_text())
    (empty,) = notebook["cells"]
    notebook["cells"] = [
        {**empty, "id": f"cell-{place}", "source": source} for place, source in enumerate(CELLS)
    ]
    (tmp_path / "try.ipynb").write_text(json.dumps(notebook))
    for name, chosen in JUPYTERLAB.items():
        path = tmp_path / f"settings/@jupyterlab/{name}.jupyterlab-settings"
        path.parent.mkdir(parents=True)
        path.write_text(json.dumps(chosen))
    command = ["-m", "jupyterlab", "--no-browser", "--ip=127.0.0.1", "--allow-root"]
    folders = {
        "JUPYTERLAB_SETTINGS_DIR": str(tmp_path / "settings"),
        "JUPYTERLAB_WORKSPACES_DIR": str(tmp_path / "workspaces"),
        "PYTHONPATH": str(ROOT),
    }
    with running(command, tmp_path, **folders) as server:
        place, _, token = server.address.partition("/lab?")
        page = visit(f"{place}/lab/workspaces/auto-x/tree/try.ipynb?reset&{token}")
        notebook = Notebook(page)
        notebook.run(0)
        lab = Lab(page, notebook.cell(0))
        before = len(server.log.read_text())
        learn(lab, ["data (CSV)", "figure (PNG)"])
        beside_each_other(notebook, lab)
        page.close()
        assert errors(server, before) == []
