"""Trains every preset, and stores its view as a file of the package.

python tutorials/make_lab_runs.py [PRESET ...]
"""

from __future__ import annotations

import sys
import time

from keras_lcb.lab.cached import FOLDER, to_text
from keras_lcb.lab.presets import PRESETS, preset_named
from keras_lcb.lab.training import Training
from keras_lcb.lab.view import view_of


def main(names: list[str]) -> None:
    """Trains the presets of these names; all if there are none."""
    FOLDER.mkdir(exist_ok=True)
    for name in names or PRESETS:
        began = time.perf_counter()
        config = preset_named(name).settings.config()
        training = Training(config)
        training.advance(lambda: False)
        path = FOLDER / f"{name}.json"
        path.write_text(to_text(view_of(training.run(), config.updates)))
        size = path.stat().st_size / 1000
        print(f"{name}: {time.perf_counter() - began:.1f} s, {size:.1f} kB")


if __name__ == "__main__":
    main(sys.argv[1:])
