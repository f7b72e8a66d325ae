"""What a process does that runs members of a study, before it loads the package.

It stands beside the package and not in it: `import keras_lcb` imports Keras, which settles on a
backend and, with TensorFlow, on a number of threads. On a cluster these are not inherited from the
process that asks for the work, so they come along with it.
"""

from __future__ import annotations

import os
import pickle
import sys
from collections.abc import Mapping


def work(environment: Mapping[str, str], task: bytes) -> str:
    """Does a pickled piece of work.

    Args:
        environment: Variables to set, where Keras is not loaded yet.
        task: A pickled function without arguments.

    Returns:
        What the function returns: a word on how it went.
    """
    if "keras" not in sys.modules:
        os.environ.update(environment)
    return pickle.loads(task)()
