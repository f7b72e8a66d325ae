"""The lab that the address of a page asks for, where Voilà serves it."""

from __future__ import annotations

import html
import os
from typing import Any

import ipywidgets as widgets

from keras_lcb.lab.depth_lab import DepthLab
from keras_lcb.lab.settings import as_query, from_query

# What else stands in such an address: the key to the page, and how Voilà shows it.
_NOT_OURS = ("token", "template", "theme")


def requested_lab() -> Any:
    """Return the lab that the query of the page's address describes, as a notebook shows it.

    What no lab can make sense of gets a sentence above the lab as it is by default. The server
    says whether it is for a projector.
    """
    look = {"projector": "true"} if os.environ.get("KERAS_LCB_PROJECTOR") else {}
    try:
        given = from_query(os.environ.get("QUERY_STRING", ""))
        wanted = {name: value for name, value in given.items() if name not in _NOT_OURS}
        return DepthLab.from_config(as_query(look | wanted))
    except ValueError as refusal:
        sentence = widgets.HTML(f"<p role='alert'>{html.escape(str(refusal))}</p>")
        return widgets.VBox([sentence, DepthLab.from_config(as_query(look)).widget])
