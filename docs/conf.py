"""How Sphinx builds the site. `make docs` writes it to docs/_build/html."""

import os
import sys
from pathlib import Path

DOCS = Path(__file__).parent
sys.path[:0] = [str(DOCS.parent), str(DOCS / "extensions")]
os.environ.setdefault("KERAS_BACKEND", "tensorflow")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

project = "keras_lcb"
author = "the authors of keras_lcb"
copyright = "the authors of keras_lcb"  # noqa: A001

extensions = [
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.napoleon",
    "myst_nb",
    "sphinx_gallery.gen_gallery",
    "sphinx_copybutton",
    # In docs/extensions.
    "api_pages",
    "borrowed",
    "docstrings",
    "mathml",
]
exclude_patterns = ["_build", "extensions", "gallery", "generated/gallery/*.ipynb"]
nitpicky = True
# Annotations of attributes name types of other libraries, and types that are not public.
nitpick_ignore_regex = [("py:class", ".*")]

# Two classes have an attribute of the same name, and a third one's docstring names it.
suppress_warnings = ["ref.python"]

# Pages.
myst_enable_extensions = ["dollarmath", "colon_fence"]
myst_heading_anchors = 3
nb_execution_mode = "off"
nb_ipywidgets_js = {}  # otherwise pages with widgets would load scripts from elsewhere

# The reference. Docstrings name code in single backquotes, as Markdown does.
default_role = "code"
autodoc_default_options = {"member-order": "groupwise"}
autodoc_typehints = "none"  # docstrings say what each argument is
autosummary_generate = False
napoleon_use_ivar = True
toc_object_entries_show_parents = "hide"

# The gallery: scripts that are run when they have changed.
sphinx_gallery_conf = {
    "examples_dirs": "gallery",
    "gallery_dirs": "generated/gallery",
    "filename_pattern": r"\.py",
    "capture_repr": (),  # figures return artists, whose text tells nothing
    "download_all_examples": False,
    "show_memory": False,
    "show_signature": False,
    "write_computation_times": False,
    "min_reported_time": 1000,
}

html_theme = "furo"
html_title = "keras_lcb"
html_static_path = ["_static"]
html_favicon = "_static/icon.svg"
pygments_dark_style = "github-dark"
html_css_files = ["site.css"]
html_copy_source = False
html_show_sphinx = False
html_theme_options = {"navigation_with_keys": True}
copybutton_prompt_text = ">>> "
