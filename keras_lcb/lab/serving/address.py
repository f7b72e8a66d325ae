"""The lab that the address of a page describes, if Voilà serves it."""

from __future__ import annotations

import html
import os
from typing import Any

import ipywidgets as widgets

from keras_lcb.lab import DepthLab
from keras_lcb.lab.lab import Lab
from keras_lcb.lab.settings import as_query, from_query
from keras_lcb.lab.settings.line import DEFAULT

_CURRENT = " aria-current='page'"
# Other parts of such an address: the secret key to the page, and settings of Voilà.
_NOT_OURS = ("token", "template", "theme")


def lab_of_address() -> Any:
    """Returns the lab that the query of the page's address describes, for a notebook.

    `lab` in the query is "depth", which is the default, or "flatness". If the query is not valid,
    an error message is shown above the default lab. The server tells whether it is for a projector.
    On a page, users predict before they start, unless the address says `predict=false`. The address
    follows the settings, so that the page can be reloaded and shared.
    """
    look = {"predict": "true"}
    if os.environ.get("KERAS_LCB_PROJECTOR"):
        look["projector"] = "true"
    try:
        wanted = from_query(_ours(os.environ.get("QUERY_STRING", "")))
        name = wanted.get("lab", DEFAULT)
        if name not in Lab.known:
            raise ValueError(f"There is no lab '{name}'. The labs are {', '.join(Lab.known)}.")
        lab, above = Lab.known[name].from_config(as_query(look | wanted)), []
    except ValueError as refusal:
        lab = DepthLab.from_config(as_query(look))
        above = [widgets.HTML(f"<p role='alert'>{html.escape(str(refusal))}</p>")]
    lab.write_address()
    return widgets.VBox([*above, _links(lab), lab.widget])


def _links(here: Lab) -> widgets.Widget:
    """Returns links between the labs."""
    links = [
        f"<li><a href='?lab={name}'{_CURRENT if isinstance(here, lab) else ''}>"
        f"{html.escape(lab.declared.title)}</a></li>"
        for name, lab in Lab.known.items()
    ]
    return widgets.HTML(
        f"<nav class='keras-lcb-labs' aria-label='Labs'><ul>{''.join(links)}</ul></nav>"
    )


def _ours(query: str) -> str:
    parts = [part for part in query.split("&") if part]
    return "&".join(part for part in parts if part.partition("=")[0] not in _NOT_OURS)
