"""`ImagesView`: a training on images: its layers, some of their filters, and how they respond."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from keras_lcb.lab.views.layers import LayersView, Quantity

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
