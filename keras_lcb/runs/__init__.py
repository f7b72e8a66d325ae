"""The run, an `xarray.Dataset`: its names, its files, and how runs are merged.

- `schema`: every name that a run may hold, with its meaning and its unit, and `dataset`, which
  builds runs.
- `storage`: `save_run` and `load_run`, which are safe with files from unknown sources.
- `merging`: `collect`, which joins what several callbacks recorded.
- `block_name`: the block that a layer belongs to, by the layer's name.
- `example_run`: a run for trying things out.

xarray is imported on first use only, since the callbacks import `schema` with the package.
"""

from keras_lcb.runs.example import example_run

__all__ = ["example_run"]
