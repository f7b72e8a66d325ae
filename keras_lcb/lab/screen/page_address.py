"""The address of a lab's page, which only the browser knows, and a code of it for phones."""

from __future__ import annotations

import anywidget
import traitlets

from keras_lcb.viewer.bundle import path


class PageAddress(anywidget.AnyWidget):
    """Keeps the settings in the address of the page, and draws the address as a QR code.

    The code has the address and the settings, but not the page's secret key.

    Attributes:
        query: The settings, as the query of an address.
    """

    _esm = path("address.js")

    query = traitlets.Unicode().tag(sync=True)
