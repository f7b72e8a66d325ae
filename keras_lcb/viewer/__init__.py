"""The viewer: a run to look at, in a notebook, a report or the atlas.

- `compact`: a run as the one text that the viewer reads.
- `encoding`: numbers in that text.
- `events`: what happened in a run, and when.
- `bundle`: the viewer itself, made of `viewer/` at the root of the repository.
- `widget`: the viewer in notebooks, `keras_lcb.Viewer`.
"""

from keras_lcb.viewer.compact import compact

__all__ = ["compact"]
