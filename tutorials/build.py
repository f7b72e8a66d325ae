"""Makes each `NN_name.ipynb` from its text `NN_name.py`: runs it, and keeps what it shows.

    python tutorials/build.py              all of them
    python tutorials/build.py 01 05        some of them
    python tutorials/build.py --prose      takes over what changed beside the code; runs nothing
    python tutorials/build.py --check      are text and notebook alike? Runs nothing.

The text is what is edited (jupytext's percent format); the notebook is what is read and opened. It
also has a cell that installs the package and, once `pyproject.toml` names a repository on GitHub, a
badge that opens it on Colab.
"""

from __future__ import annotations

import argparse
import base64
import io
import os
import re
import sys
import time
import tomllib
from collections.abc import Iterable
from pathlib import Path

import jupytext
import nbclient
import nbformat
from PIL import Image

FOLDER = Path(__file__).resolve().parent
LARGEST = 400_000  # bytes of a notebook
LONGEST = 180  # seconds that a notebook may take on two idle cores
_KERNEL = {"kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"}}
# Widgets need their server; beside each stands a picture that does not.
WIDGET = "application/vnd.jupyter.widget-view+json"
# What TensorFlow writes when it is loaded, before it can be told not to.
_STARTING = re.compile(r"(WARNING: All log messages before|[IWE]\d{4} ).*\n?")
_ABSOLUTE = re.compile(r"(/home/|/root/|/tmp/|/usr/|/opt/|/work/|/content/|[A-Z]:\\\\)\w")


# One layer and one note have no order, so this picture gives no outcome of a lab away.
_SHOW_AN_EXAMPLE = """
import re, time
from IPython.display import display

changed = re.sub("&predict=[^&]*", "", lab.config)
for setting in ("depth=1", "target=sin(x)", "updates=400"):
    changed = re.sub(setting.partition("=")[0] + "=[^&]*", setting, changed, count=1)
shown = type(lab).from_config(changed)
shown.start()
while shown.state == "training" or (shown.state == "done" and shown.run is None):
    time.sleep(0.1)
time.sleep(1)  # the last picture comes soon after the run
if shown.state != "done":
    raise RuntimeError(f"The lab is {shown.state}.")
display({"image/png": shown._repr_mimebundle_()["image/png"]}, raw=True)
shown.close()
"""
EXAMPLE = (
    "This is only a picture of the lab, with one hidden layer that learns sin x. "
    "Run the notebook to use the lab itself."
)
_BADGE = "[![Open in Colab](https://colab.research.google.com/assets/colab-badge.svg)]"
_IMPORTS = "import importlib.util\nimport subprocess\nimport sys"
_FROM_REPOSITORY = """\
# Installs the package where it is missing, as on Colab. Elsewhere this cell does nothing.
{imports}

if importlib.util.find_spec("keras_lcb") is None:
    source = "git+{address}"
    subprocess.check_call([sys.executable, "-m", "pip", "install", "--quiet", source])"""
_FROM_FOLDER = """\
# Installs the package if it is missing, from the folder in which this folder of notebooks lies.
{imports}
from pathlib import Path

if importlib.util.find_spec("keras_lcb") is None:
    if not Path("../pyproject.toml").exists():
        raise FileNotFoundError(
            "keras_lcb is not installed, and the folder above this notebook does not hold it. "
            "Open the notebook in the folder `tutorials` of the package."
        )
    print("keras_lcb is not installed yet: installing it from the folder above this notebook.")
    subprocess.check_call([sys.executable, "-m", "pip", "install", "--quiet", ".."])"""


def repository() -> str:
    """Return the address of the published code, or "" as long as `pyproject.toml` has none."""
    project = tomllib.loads((FOLDER.parent / "pyproject.toml").read_text())["project"]
    return project.get("urls", {}).get("Repository", "").removesuffix("/")


def install_cell(address: str) -> nbformat.NotebookNode:
    """Return the cell that installs the package from this address; if "", from the folder above."""
    source = _FROM_REPOSITORY if address else _FROM_FOLDER
    return nbformat.v4.new_code_cell(source.format(imports=_IMPORTS, address=address))


def badge(address: str, name: str) -> str:
    """Return the badge that opens a notebook of this name on Colab; "" if it is not on GitHub."""
    if not address.startswith("https://github.com/"):
        return ""
    place = address.removeprefix("https://github.com/")
    opened = f"https://colab.research.google.com/github/{place}/blob/main/tutorials/{name}.ipynb"
    return f"{_BADGE}({opened})"


def texts(chosen: Iterable[str] = ()) -> list[Path]:
    """Return the texts of the notebooks whose names begin with one of these, or all of them."""
    beginnings = tuple(chosen) or ("",)
    found = sorted(FOLDER.glob("[0-9][0-9]_*.py"))
    return [path for path in found if path.name.startswith(beginnings)]


def notebook_of(text: Path) -> nbformat.NotebookNode:
    """Return the notebook that a text describes, not yet run."""
    notebook = jupytext.read(text)
    notebook.metadata = nbformat.from_dict(_KERNEL)
    address = repository()
    first = notebook.cells[0]
    title, _, rest = first.source.partition("\n\n")
    first.source = "\n\n".join(filter(None, [title, badge(address, text.stem), rest]))
    notebook.cells.insert(1, install_cell(address))
    for number, cell in enumerate(notebook.cells):
        cell.id = f"cell-{number:02d}"  # the same at each reading, so that differences are few
        cell.metadata = nbformat.from_dict(
            {"tags": cell.metadata["tags"]} if "tags" in cell.metadata else {}
        )
    return notebook


def client_of(notebook: nbformat.NotebookNode) -> nbclient.NotebookClient:
    """Return what runs a notebook's cells in a kernel of its own."""
    return nbclient.NotebookClient(
        notebook,
        timeout=20 * LONGEST,  # of a cell, on a machine that is busy with other things
        kernel_name="python3",
        resources={"metadata": {"path": str(FOLDER)}},
        store_widget_state=False,
        coalesce_streams=True,
        record_timing=False,
    )


def execute(notebook: nbformat.NotebookNode) -> None:
    """Run all cells in a fresh kernel; a cell that raises ends it with an error.

    The lab waits for its reader to press Start. In its place, a picture of an example is kept.
    """
    client = client_of(notebook)
    extra = nbformat.v4.new_code_cell(_SHOW_AN_EXAMPLE)
    with client.setup_kernel():
        for number, cell in enumerate([*notebook.cells, extra]):
            if number == len(notebook.cells):
                notebook.cells.append(extra)  # only cells of the notebook can be run
            client.execute_cell(cell, number)
    notebook.cells.remove(extra)
    (picture,) = [output.data["image/png"] for output in extra.outputs if "data" in output]
    for cell in notebook.cells:
        for output in list(cell.get("outputs", [])):
            if WIDGET in output.get("data", {}):
                output.data["image/png"] = picture
                said = nbformat.v4.new_output("stream", name="stdout", text=f"{EXAMPLE}\n")
                cell.outputs.append(said)


def clean(notebook: nbformat.NotebookNode) -> None:
    """Leave only what can be read without a kernel."""
    notebook.metadata = nbformat.from_dict(_KERNEL)
    for cell in notebook.cells:
        if "outputs" in cell:
            cell.outputs = [output for output in cell.outputs if not _says_it_starts(output)]
        for output in cell.get("outputs", []):
            data = output.get("data", {})
            data.pop(WIDGET, None)
            if "image/png" in data:
                data["image/png"] = _with_few_colours(data["image/png"])


def _with_few_colours(picture: str) -> str:
    """Make a figure's bytes a third: its lines and letters need no millions of colours."""
    image = Image.open(io.BytesIO(base64.b64decode(picture))).convert("RGB")
    written = io.BytesIO()
    image.quantize(256, dither=Image.Dither.NONE).save(written, "png", optimize=True)
    return base64.b64encode(written.getvalue()).decode()


def _says_it_starts(output: nbformat.NotebookNode) -> bool:
    said = output.get("text", "").splitlines()
    return output.get("name") == "stderr" and all(map(_STARTING.fullmatch, filter(None, said)))


def faults(notebook: nbformat.NotebookNode) -> list[str]:
    """Return what keeps a notebook from being published, a sentence each."""
    found = []
    written = nbformat.writes(notebook)
    if len(written) > LARGEST:
        found.append(f"it has {len(written):,} bytes, and {LARGEST:,} are allowed")
    if "widgets" in notebook.metadata:
        found.append("it holds the state of widgets")
    for cell in notebook.cells:
        for output in cell.get("outputs", []):
            said = output.get("text", "") + output.get("data", {}).get("text/plain", "")
            if output.get("name") == "stderr":
                found.append(f"{cell.id} wrote to stderr: {said[:200]}")
            if _ABSOLUTE.search(said):
                found.append(f"{cell.id} shows a path of this machine: {said[:200]}")
    return found


def alike(text: Path) -> bool:
    """Tell whether a notebook has the cells that its text describes."""
    path = text.with_suffix(".ipynb")
    if not path.exists():
        return False

    def cells(notebook: nbformat.NotebookNode) -> list[tuple]:
        return [(cell.id, cell.cell_type, cell.source, cell.metadata) for cell in notebook.cells]

    return cells(notebook_of(text)) == cells(nbformat.read(path, as_version=4))


def with_new_prose(text: Path) -> nbformat.NotebookNode | None:
    """Return the notebook of a text with the stored outputs; None if its code has changed."""
    new = notebook_of(text)
    stored = nbformat.read(text.with_suffix(".ipynb"), as_version=4)
    new_code, old_code = ([c for c in n.cells if c.cell_type == "code"] for n in (new, stored))
    if [cell.source for cell in new_code] != [cell.source for cell in old_code]:
        return None
    for cell, old in zip(new_code, old_code, strict=True):
        cell.outputs, cell.execution_count = old.outputs, old.execution_count
    return new


def run(text: Path) -> list[str]:
    """Run a notebook and keep it, and return what is wrong with it."""
    began = time.monotonic()
    notebook = notebook_of(text)
    execute(notebook)
    clean(notebook)
    problems = faults(notebook)
    if not problems:
        nbformat.write(notebook, text.with_suffix(".ipynb"))
    took = time.monotonic() - began
    print(f"{text.stem}: {took:.0f} s", flush=True)
    if took > LONGEST:
        problems.append(f"it took {took:.0f} s, and {LONGEST} are allowed")
    return problems


def rewrite(text: Path) -> list[str]:
    """Take over new prose into a notebook, and return what is wrong with it."""
    notebook = with_new_prose(text)
    if notebook is None:
        return ["its code has changed, so it must run: make notebooks"]
    nbformat.write(notebook, text.with_suffix(".ipynb"))
    return []


def compare(text: Path) -> list[str]:
    """Return what is wrong with a stored notebook."""
    return [] if alike(text) else ["text and notebook differ: make notebooks"]


def main(arguments: list[str] | None = None) -> int:
    """Run the command."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", help="beginnings of names; all by default")
    instead = parser.add_mutually_exclusive_group()
    for name, does, said in [
        ("--check", compare, "compare, and run nothing"),
        ("--prose", rewrite, "take over what changed beside the code, and run nothing"),
    ]:
        instead.add_argument(name, dest="does", action="store_const", const=does, help=said)
    asked = parser.parse_args(arguments)
    os.environ.pop("KERAS_LCB_QUICK", None)  # what is kept is the full form
    failed = False
    for text in texts(asked.names):
        for problem in (asked.does or run)(text):
            print(f"{text.stem}: {problem}", file=sys.stderr)
            failed = True
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
