"""Trains every preset, and stores its view as a file of the package.

python -m keras_lcb.lab.views.making_cached [PRESET ...]
"""

from __future__ import annotations

import sys
import time

from keras_lcb.lab.engine.training import Training
from keras_lcb.lab.settings.function import Settings
from keras_lcb.lab.settings.presets import PRESETS, preset_named
from keras_lcb.lab.views.cached import FOLDER, to_text
from keras_lcb.lab.views.view import view_of


def main(names: list[str]) -> None:
    """Trains the presets of these names; all if there are none."""
    for name in names or PRESETS:
        began = time.perf_counter()
        settings = preset_named(name).settings
        assert isinstance(settings, Settings)
        training = Training(settings.config())
        training.advance(lambda: False)
        path = FOLDER / f"{name}.json"
        path.write_text(to_text(view_of(training.run(), settings.planned)))
        size = path.stat().st_size / 1000
        print(f"{name}: {time.perf_counter() - began:.1f} s, {size:.1f} kB")


if __name__ == "__main__":
    main(sys.argv[1:])
