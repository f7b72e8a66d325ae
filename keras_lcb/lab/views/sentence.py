"""What the pictures of a lab show, in words, for users who do not see them."""

from __future__ import annotations

import numpy as np
import xarray as xr

from keras_lcb.lab.views.layers import LayersView
from keras_lcb.lab.views.view import View


def describe(view: View) -> str:
    """Returns a few sentences about what a view shows.

    Example:
        >>> from keras_lcb.lab.views.view import view_of
        >>> from keras_lcb.runs import example_run
        >>> describe(view_of(example_run(layers=3, frequencies=(1, 3)))).split(". ")[0]
        'layer_0 half-way at update 17, layer_1 last, at 25'
    """
    said = [half_way(view), rates(view), gradients(view), _frequencies(view)]
    return " ".join(sentence for sentence in said if sentence)


def describe_layers(view: LayersView) -> str:
    """Returns a few sentences about what a view shows of any network's layers."""
    said = [half_way(view), rates(view), gradients(view)]
    return " ".join(sentence for sentence in said if sentence)


def found_in(run: xr.Dataset) -> str:
    """Returns the most certain finding of a diagnosis; "" for none, and for several seeds."""
    from keras_lcb.diagnosis import diagnose

    return "" if "seed" in run.dims else diagnose(run).sentence()


def half_way(view: LayersView) -> str:
    """Returns which layers came half-way first and last."""
    when = view.half_way[view.places]
    known = np.flatnonzero(np.isfinite(when))
    if not known.size:
        return "" if view.provisional else "No layer came half-way."
    order = known[np.argsort(when[known], kind="stable")]
    first, last = order[0], order[-1]
    beginning = "So far, measured to the newest weights: " if view.provisional else ""
    text = f"{view.hidden[first]} half-way at update {when[first]:,.0f}"
    if len(order) > 1:
        text += f", {view.hidden[last]} last, at {when[last]:,.0f}"
    never = len(when) - len(order)
    if never and not view.provisional:
        text += f"; {never} layer{'s' if never > 1 else ''} never"
    return f"{beginning}{text}."


def rates(view: LayersView) -> str:
    """Returns which learning rates were set on the way."""
    told = [f"from {a:.3g} to {b:.3g} at update {at:,}" for at, a, b in view.changes]
    return f"The learning rate changed {', then '.join(told)}." if told else ""


def gradients(view: LayersView) -> str:
    """Returns which layers have the largest and the smallest gradient."""
    norms = view.gradient[-1][view.places]
    if not np.isfinite(norms).all() or len(norms) < 2 or norms.min() <= 0:
        return ""
    large, small = int(norms.argmax()), int(norms.argmin())
    times = norms[large] / norms[small]
    if times < 1.5:
        return "All layers' gradients are about the same size."
    return (
        f"The largest gradient is now {view.hidden[large]}'s, {times:,.1f} times that of "
        f"{view.hidden[small]}."
    )


def _frequencies(view: View) -> str:
    errors = view.error[-1]
    if not np.isfinite(errors).all():
        return ""
    learned = [f"{k}" for k, error in zip(view.frequencies, errors, strict=True) if error < 0.5]
    if not learned:
        return "No wave is learned by half yet."
    left = [f"{k}" for k, error in zip(view.frequencies, errors, strict=True) if error >= 0.5]
    text = f"Learned by half and more: wave number {', '.join(learned)}"
    return text + (f"; not yet: {', '.join(left)}." if left else ".")
