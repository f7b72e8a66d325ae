"""A table of layers that prints findings below it."""

from __future__ import annotations

from html import escape
from typing import Any

import pandas as pd


class LayerTable(pd.DataFrame):
    """A `DataFrame` that, when printed, shows the sentences of `attrs["findings"]` below it.

    A table that is made from it, for example by choosing columns, is a plain `DataFrame`.
    """

    @property
    def _constructor(self) -> Any:
        return pd.DataFrame

    def __repr__(self) -> str:
        return "\n".join([super().__repr__(), *self._findings()])

    def _repr_html_(self) -> str:
        below = "".join(f"<p>{escape(sentence)}</p>" for sentence in self._findings())
        return (super()._repr_html_() or "") + below

    def _findings(self) -> list[str]:
        return self.attrs.get("findings", [])
