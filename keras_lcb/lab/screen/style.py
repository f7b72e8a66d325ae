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
.keras-lcb-lab .keras-lcb-sentence { max-width: 60em; }
.keras-lcb-lab .widget-html-content p { margin: 2px 0; }
.keras-lcb-lab .widget-inline-hbox .widget-label { text-align: left; }
.keras-lcb-predict { border-left: 4px solid #e87059; padding: 2px 8px; }
.keras-lcb-lab table { border-collapse: collapse; }
.keras-lcb-lab th, .keras-lcb-lab td { padding: 1px 8px 1px 0; text-align: left; }
.keras-lcb-runs th, .keras-lcb-runs td { border-bottom: 1px solid #cccccc; }
.keras-lcb-share input { width: min(560px, 60vw); font-family: monospace; }
.keras-lcb-share button { margin-left: 4px; }
.keras-lcb-lab .keras-lcb-header h2 { font-size: 1.3em; margin: 0; }
.keras-lcb-labs ul { display: flex; flex-wrap: wrap; gap: 0 1.5em; list-style: none; }
.keras-lcb-labs ul { padding: 0; margin: 0; }
.keras-lcb-labs [aria-current] { font-weight: 700; color: inherit; text-decoration: none; }
.keras-lcb-pictures { width: 100%; overflow: visible; }
.keras-lcb-pictures > * { flex: 1 1 0; min-width: 0; margin: 0; }
/* The lab has a sentence of its own, and each panel keeps to its quantity. */
.keras-lcb-lab :is(.lcb-words, .lcb-choices) { display: none; }
.keras-lcb-lab .lcb-viewer { font-size: 14px; padding-inline-start: 8px; }
.keras-lcb-lab .lcb-column { gap: 6px; margin-top: 6px; }
.keras-lcb-lab .lcb-column h2 { font-size: 1em; font-weight: 400; }
.keras-lcb-lab :is(.lcb-network, .lcb-panel) { padding: 6px 10px; }
.keras-lcb-lab .lcb-scrubber { padding: 3px 10px; }
.keras-lcb-lab .lcb-panels { gap: 6px; }
.keras-lcb-lab .lcb-plot { min-height: 190px; }
.keras-lcb-lab .lcb-about { margin-top: 0.2em !important; }
.keras-lcb-lab .lcb-face { height: 28px; }
/* On a phone, the pictures stand between Start and the settings. */
@media (max-width: 640px) {
  .keras-lcb-lab .keras-lcb-left.keras-lcb-left { display: contents; }
  .keras-lcb-lab .keras-lcb-settings { order: 1; }
}
.keras-lcb-stale .lcb-columns { opacity: 0.45; filter: grayscale(1); }
.keras-lcb-lab .keras-lcb-left { overflow: visible; }
@container (min-width: 40rem) {
  .keras-lcb-lab .lcb-columns.lcb-several { grid-template-columns: repeat(2, minmax(0, 1fr)); }
  .keras-lcb-lab .lcb-panels { grid-template-columns: repeat(2, minmax(0, 1fr)); }
  .keras-lcb-lab .lcb-panels .lcb-panel { grid-column: auto; }
  .keras-lcb-lab .lcb-several .lcb-panels { grid-template-columns: minmax(0, 1fr); }
}
@container (min-width: 70rem) {
  .keras-lcb-lab .lcb-panels { grid-template-columns: repeat(3, minmax(0, 1fr)); }
}
"""
_PROJECTOR = """
.keras-lcb-projector {
  --jp-widgets-font-size: 16pt;
  --jp-widgets-inline-height: 28px;
  font-size: 16pt;
}
.keras-lcb-projector button, .keras-lcb-projector input,
.keras-lcb-projector select { font-size: 16pt; }
.keras-lcb-projector .keras-lcb-sentence { max-width: none; }
.keras-lcb-projector .widget-button { padding: 0 9px; }
/* All settings and the first two rows of pictures stand within 720 pixels. */
.keras-lcb-projector .keras-lcb-header h2 { font-size: 1.1em; }
.keras-lcb-projector .keras-lcb-header p { font-size: 0.82em; }
.keras-lcb-projector :is(.keras-lcb-then, .lcb-about, .lcb-ends, .lcb-reading) { display: none; }
.keras-lcb-projector .lcb-viewer { font-size: 19px; }
.keras-lcb-projector .lcb-column h2 { font-size: 0.78em; }
.keras-lcb-projector .lcb-panel { padding-block: 2px; }
.keras-lcb-projector .lcb-panel h3 { font-size: 0.85em; margin: 0; }
.keras-lcb-projector .lcb-network { padding-block: 2px; }
.keras-lcb-projector .lcb-several .lcb-network { display: none; }
.keras-lcb-projector .lcb-plot { min-height: 185px; }
"""


def style(projector: bool) -> str:
    """Returns the style as an HTML element."""
    return f'<style onload="{_NAME_SLIDERS}">{_COMMON}{_PROJECTOR if projector else ""}</style>'
