"""An atlas whose runs are made from formulas: training them would take most of the tests' time."""

import pytest

from keras_lcb.atlas import building
from keras_lcb.runs import example_run, schema
from keras_lcb.synthetic import default_target


def functions(config):
    frequencies = (1, 3) if config.target == default_target() else (2, 5)
    made = example_run(config.depth + 1, frequencies=frequencies)
    return schema.of_experiment(made, "keras_lcb.atlas.functions", config)


def digits(config):
    made = example_run(config.depth + 1)
    names = [name.replace("layer", "conv") for name in made["layer"].values]
    return schema.of_experiment(made.assign_coords(layer=names), "keras_lcb.vision", config)


@pytest.fixture(scope="session")
def atlas(tmp_path_factory):
    """The page, and the folder of its runs."""
    folder = tmp_path_factory.mktemp("atlas")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("keras_lcb.atlas.functions.run", functions)
        patch.setattr("keras_lcb.vision.run", digits)
        page = building.build(folder / "page", folder / "runs", quick=True, jobs=1)
    return page, folder / "runs"
