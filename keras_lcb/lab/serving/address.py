"""The lab that the address of a page describes, if Voilà serves it."""

from __future__ import annotations

import html
import os
from typing import Any

import ipywidgets as widgets

from keras_lcb.lab.depth import DepthLab
from keras_lcb.lab.flatness import FlatnessLab
from keras_lcb.lab.lab import Lab
from keras_lcb.lab.settings import as_query, from_query
from keras_lcb.lab.settings.line import DEFAULT

# Other parts of such an address: the secret key to the page, and settings of Voilà.
_NOT_OURS = ("token", "template", "theme")
_LABS: dict[str, type[Lab]] = {lab.declared.name: lab for lab in (DepthLab, FlatnessLab)}


def lab_of_address() -> Any:
    """Returns the lab that the query of the page's address describes, for a notebook.

    `lab` in the query is "depth", which is the default, or "flatness". If the query is not valid,
    an error message is shown above the default lab. The server tells whether it is for a projector.
    """
    look = {"projector": "true"} if os.environ.get("KERAS_LCB_PROJECTOR") else {}
    try:
        wanted = from_query(_ours(os.environ.get("QUERY_STRING", "")))
        name = wanted.get("lab", DEFAULT)
        if name not in _LABS:
            raise ValueError(f"There is no lab '{name}'. The labs are {', '.join(_LABS)}.")
        return _LABS[name].from_config(as_query(look | wanted))
    except ValueError as refusal:
        sentence = widgets.HTML(f"<p role='alert'>{html.escape(str(refusal))}</p>")
        return widgets.VBox([sentence, DepthLab.from_config(as_query(look)).widget])


def _ours(query: str) -> str:
    parts = [part for part in query.split("&") if part]
    return "&".join(part for part in parts if part.partition("=")[0] not in _NOT_OURS)
