"""The style sheets of a lab, for a desk and for a projector."""

from __future__ import annotations

# In an attribute, since pages run a handler there, but would not run a script element. It gives
# names to the handles of sliders for screen readers, also to handles that are added later.
_NAME_SLIDERS = (
    "const lab = this.closest('.keras-lcb-lab'); "
    "const name = () => lab.querySelectorAll('[role=slider]:not([aria-label])').forEach("
    "handle => handle.ariaLabel = handle.closest('.widget-hbox').querySelector('label').innerText);"
    "new MutationObserver(name).observe(lab, {childList: true, subtree: true}); name();"
)
_COMMON = """
.keras-lcb-lab .jupyter-widgets.widget-html .widget-html-content { line-height: 1.35; }
.keras-lcb-lab .keras-lcb-wrong { color: #b00020; }
.keras-lcb-lab .keras-lcb-sentence { max-width: 920px; }
.keras-lcb-lab .widget-html-content p { margin: 2px 0; }
.keras-lcb-lab .widget-inline-hbox .widget-label { text-align: left; }
.keras-lcb-predict { border-left: 4px solid #e87059; padding: 2px 8px; }
.keras-lcb-lab table { border-collapse: collapse; }
.keras-lcb-lab th, .keras-lcb-lab td { padding: 1px 8px 1px 0; text-align: left; }
.keras-lcb-runs th, .keras-lcb-runs td { border-bottom: 1px solid #cccccc; }
.keras-lcb-share input { width: min(560px, 60vw); font-family: monospace; }
.keras-lcb-share button { margin-left: 4px; }
.keras-lcb-lab .widget-image { height: auto; max-width: 100%; }
.keras-lcb-pictures { container-type: inline-size; overflow-x: auto; }
/* On a phone, one column of pictures is visible at a time, large enough to read. */
@container (max-width: 480px) {
  .keras-lcb-lab .keras-lcb-pictures .widget-image { width: 712px; max-width: none; flex: none; }
}
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
    """Returns the style as an HTML element."""
    return f'<style onload="{_NAME_SLIDERS}">{_COMMON}{_PROJECTOR if projector else ""}</style>'
