"""The run: one well-described `xarray.Dataset`, its names, its files and how runs are merged.

- `schema`: every name that a run may hold, with its meaning and its unit, and the one builder.
- `storage`: `save_run` and `load_run`, atomic and careful about files from strangers.
- `merging`: `collect`, which joins what several callbacks recorded.
- `example_run`: a run to try things out on.

Nothing here imports xarray before it is used, since callbacks import `schema` with the package.
"""

from keras_lcb.runs.example import example_run

__all__ = ["example_run"]
