"""keras_lcb: how fast each layer of a Keras model converges, and how large its gradients are.

The public names are in `__init__.pyi`; everything else may move. Names are imported on first use,
since xarray, pandas, Matplotlib and the like take longer to load than a training should have to
wait.
"""

import importlib
import os

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)

__version__ = "0.1.0"

# Keras loads a saved model only if its classes are known by then. A page of the lab loads none: it
# leaves all that needs Keras to the process that this variable names, see `lab/engine/remote.py`.
if not os.environ.get("KERAS_LCB_TRAINER"):
    importlib.import_module("keras_lcb.training.layerwise_model")
