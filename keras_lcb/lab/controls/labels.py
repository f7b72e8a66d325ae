"""Labels of controls, which explain their terms."""

from __future__ import annotations

import html

LABEL_WIDTH = "7em"  # relative to the text, which is larger on a projector


def explained(label: str, term: str) -> str:
    """Returns a label with a tooltip, since ipywidgets shows no tooltips of labelled boxes."""
    return f'<span title="{html.escape(term, quote=True)}">{html.escape(label)}</span>'
