"""Brings to the site what lives elsewhere in the repository: the tutorials and the atlas."""

import shutil
from pathlib import Path


def setup(app):
    """Registers the extension."""
    app.connect("builder-inited", borrow_tutorials)
    app.connect("build-finished", copy_atlas)
    return {"parallel_read_safe": True}


def borrow_tutorials(app):
    """Copies changed notebooks into the folder from which Sphinx makes pages.

    Links to pages in `docs` are adapted to the place of the copy.
    """
    folder = Path(app.srcdir) / "generated" / "tutorials"
    folder.mkdir(parents=True, exist_ok=True)
    notebooks = sorted((Path(app.srcdir).parent / "tutorials").glob("*.ipynb"))
    for path in set(folder.iterdir()) - {folder / notebook.name for notebook in notebooks}:
        path.unlink()
    for notebook in notebooks:
        copy = folder / notebook.name
        text = notebook.read_text(encoding="utf-8").replace("](../docs/", "](../../")
        if not copy.exists() or copy.read_text(encoding="utf-8") != text:
            copy.write_text(text, encoding="utf-8")


def copy_atlas(app, exception):
    """Copies the atlas as it is: pages that need no more than a browser."""
    if exception is None:
        shutil.copytree(Path(app.srcdir) / "atlas", Path(app.outdir) / "atlas", dirs_exist_ok=True)
