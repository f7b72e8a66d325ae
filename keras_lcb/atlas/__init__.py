"""The atlas: many trainings, run beforehand, as a page that needs no Python.

- `chapters`: which trainings there are, and which dials choose among them.
- `functions`: the engine of the trainings on functions of one variable.
- `building`: from the runs to the page. The command `keras-lcb atlas` does so.
"""

from keras_lcb.atlas.chapters import Chapter, Dial, chapters

__all__ = ["Chapter", "Dial", "chapters"]
