"""The lab as a learner has it: in a real browser, served by Voilà and by JupyterLab."""

import json
import re
import shutil
import time
from pathlib import Path

import pytest

from tests.lab.conftest import running, until

pytestmark = pytest.mark.browser

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
        kept.close(run_before_unload=False)
    assert not any(Path(f"/proc/{kernel}").exists() for kernel in kernels)
    assert server.log.read_text().count("\n") == 2, server.log.read_text()
