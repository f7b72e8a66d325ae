"""`ImagesView`: a training on images: its layers, some of their filters, and how they respond."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import xarray as xr

from keras_lcb.lab.views.layers import LayersView, Quantity, layers_view_of
from keras_lcb.lab.views.sentence import describe_layers

# Of the response frequency, in waves over the typical distance of two images; see `RESPONSE`.
CUTOFFS = (0.3, 0.4, 0.5, 0.6)
_SHOWN = 0.5
# The response frequency at the cut-off that the lab shows, as `compact` names it.
RESPONSE = f"response_frequency/cutoff={_SHOWN:g}"


@dataclass(frozen=True, eq=False, kw_only=True)
class ImagesView(LayersView):
    """One state of a training on images.

    Attributes:
        filters: Some filters of each layer (layers, filters, rows, columns); NaN where a layer has
            none.
        moments: The updates at which the response was measured; `None` if it is not.
        response: The share of each layer's response that is above `CUTOFFS` (moments, layers,
            cut-offs).
    """

    filters: np.ndarray
    moments: np.ndarray | None
    response: np.ndarray | None

    def quantities(self) -> Iterator[Quantity]:
        """Yields what the viewer draws. Of filters, only the newest are in a view."""
        yield from super().quantities()
        picture = ("layer", "filter", "row", "column")
        yield Quantity("filters", picture, self.steps[-1:], self.filters[np.newaxis])
        if self.response is not None:
            shown = self.response[..., CUTOFFS.index(_SHOWN)]
            yield Quantity(RESPONSE, ("layer",), self.moments, shown)


def with_filters(
    view: LayersView,
    filters: np.ndarray,
    moments: np.ndarray | None = None,
    response: np.ndarray | None = None,
) -> ImagesView:
    """Returns a view of layers, extended by their filters, and how fast responses vary if known."""
    own = {field.name: getattr(view, field.name) for field in dataclasses.fields(LayersView)}
    return ImagesView(**own, filters=filters, moments=moments, response=response)


def images_view_of(run: xr.Dataset, updates: int | None = None) -> ImagesView:
    """Returns the view of a finished run; for runs stacked over seeds, with filters of the first.

    Args:
        run: A run with filters and responses.
        updates: The planned number of updates. Defaults to `None`: the number in the run.
    """
    one = run.isel(seed=0) if "seed" in run.dims else run
    responses = run["response_frequency"]
    if "seed" in run.dims:
        responses = responses.mean("seed", skipna=False)
    responses = responses.dropna("step", how="all").transpose("step", "layer", "cutoff")
    return with_filters(
        layers_view_of(run, updates),
        one["filters"].isel(step=-1).values,
        responses["step"].values,
        responses.values,
    )


def describe_images(view: LayersView) -> str:
    """Returns a few sentences about what a view shows."""
    response = _response(view) if isinstance(view, ImagesView) else ""
    return " ".join(filter(None, [describe_layers(view), response]))


def _response(view: ImagesView) -> str:
    if view.response is None:
        return ""
    shares = view.response[-1, :, CUTOFFS.index(_SHOWN)]
    known = np.flatnonzero(np.isfinite(shares))
    if len(known) < 2:
        return ""
    most, least = known[shares[known].argmax()], known[shares[known].argmin()]
    return (
        f"The response of {view.layers[most]} varies fastest with the image, {shares[most]:.0%} of "
        f"it above the cut-off, and that of {view.layers[least]} most slowly, {shares[least]:.0%}."
    )
