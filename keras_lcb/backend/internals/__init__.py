"""All private names of Keras and TensorFlow that the package uses.

Private names may change with any release. Here, each is behind a function with a plain name, so
that a new release of Keras needs changes in this folder only. `missing_names` tells which names a
release has removed. `replaced` is the only way in which the package replaces methods of objects.
"""

from keras.src.models.functional import Functional as Functional
from keras.src.models.functional import operation_fn as operation_fn

from keras_lcb.backend.internals.freezing import *  # noqa: F403
from keras_lcb.backend.internals.graphs import *  # noqa: F403
from keras_lcb.backend.internals.jax_state import *  # noqa: F403
from keras_lcb.backend.internals.layers import *  # noqa: F403
from keras_lcb.backend.internals.models import *  # noqa: F403
from keras_lcb.backend.internals.needed import *  # noqa: F403
from keras_lcb.backend.internals.objects import *  # noqa: F403
from keras_lcb.backend.internals.optimizers import *  # noqa: F403
from keras_lcb.backend.internals.saving import *  # noqa: F403
