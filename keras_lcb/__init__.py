"""keras_lcb: how fast each layer of a Keras model converges, and how large its gradients are.

The public names, by room; everything else may move. What trains needs Keras only and is
imported at once, so that Keras knows the saved classes; the rest on first use.
"""

from __future__ import annotations

__version__ = "0.1.0"
