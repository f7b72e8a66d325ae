"""How a lab's controls look: at a desk, and from the last row of a room."""

from __future__ import annotations

_COMMON = """
.keras-lcb-lab .widget-label, .keras-lcb-lab .widget-html { line-height: 1.35; }
.keras-lcb-lab .keras-lcb-wrong { color: #b00020; }
.keras-lcb-lab .keras-lcb-sentence { max-width: 920px; }
.keras-lcb-lab .widget-html-content p { margin: 2px 0; }
.keras-lcb-lab .widget-inline-hbox .widget-label { text-align: left; }
.keras-lcb-predict { border-left: 4px solid #e87059; padding: 2px 8px; }
.keras-lcb-lab table { border-collapse: collapse; }
.keras-lcb-lab th, .keras-lcb-lab td { padding: 1px 8px 1px 0; text-align: left; }
.keras-lcb-runs th, .keras-lcb-runs td { border-bottom: 1px solid #cccccc; }
.keras-lcb-share input { width: min(560px, 60vw); font-family: monospace; }
.keras-lcb-lab .widget-image { height: auto; }
"""
_PROJECTOR = """
.keras-lcb-projector {
  --jp-widgets-font-size: 16pt;
  --jp-widgets-inline-height: 32px;
  font-size: 16pt;
}
.keras-lcb-projector button, .keras-lcb-projector input,
.keras-lcb-projector select { font-size: 16pt; }
.keras-lcb-projector .keras-lcb-sentence { max-width: none; }
.keras-lcb-projector .widget-button { padding: 0 9px; }
"""


def style(projector: bool) -> str:
    """Return the style as an HTML element."""
    return f"<style>{_COMMON}{_PROJECTOR if projector else ''}</style>"
