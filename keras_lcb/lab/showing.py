"""`Showing`: which run the pictures of a lab show, and whether it belongs to the settings."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from keras_lcb.lab.declaration import Declaration
from keras_lcb.lab.engine.place import Place
from keras_lcb.lab.screen.gallery import Gallery
from keras_lcb.lab.screen.history import Entry
from keras_lcb.lab.settings.declared import Declared
from keras_lcb.lab.views.form import announced, form_of

_LETTERS = 42  # of what two runs differ in, for which there is room beside each other


class Showing:
    """Decides what the gallery shows: what settings start from, a training, or a past run.

    Args:
        declared: What makes the lab.
        place: Where its networks are made.
        gallery: The pictures.
        settings: The first settings.

    Attributes:
        entry: The past run that is shown; `None` if it is none.
        at_start: Whether what settings start from is shown.
    """

    def __init__(
        self, declared: Declaration, place: Place, gallery: Gallery, settings: Declared
    ) -> None:
        self._declared, self._place, self._gallery = declared, place, gallery
        self._settings = settings  # of what is shown
        self.entry: Entry | None = None
        self.at_start = True

    def untrained(self, settings: Declared, said: str) -> None:
        """Shows what settings start from: the target, and the network before training."""
        self._settings, self.entry, self.at_start = settings, None, True
        form = announced(form_of(self._place.untrained(settings)), self._declared.quantities)
        self._gallery.show({f"Not trained yet: {settings.in_words()}": form}, said)

    def example(self, settings: Declared, told: str, view: Any) -> None:
        """Shows a run that comes with the lab, and says something before what it shows."""
        self._settings, self.entry, self.at_start = settings, None, False
        said = f"{told} This run comes with the lab; press Start for your own. "
        title = f"Example: {settings.in_words()}"
        self._gallery.show({title: form_of(view)}, said + self._declared.describe(view))
        self._gallery.viewer.update = view.step  # the only one with its functions

    def live(self, view: Any, settings: Declared, beside: Entry | None) -> None:
        """Shows the newest view of a training, to the right of a past run if there is one."""
        self.entry, self.at_start, said = None, False, self._declared.describe(view)
        if beside is None:
            self._gallery.go_on({}, settings.in_words(), view, said)
        else:
            left, right = titles(beside, settings)
            told = f"A: {self._declared.describe(beside.view)} B: {said}"
            self._gallery.go_on({left: beside.form}, right, view, told)

    def past(
        self, entry: Entry, beside: Entry | None, note: str = "from the table of past runs."
    ) -> None:
        """Shows a past run, to the right of another one if there is one."""
        self._settings, self.entry, self.at_start = entry.settings, entry, False
        said = self._said(entry)
        if beside is None or beside is entry:
            self._gallery.show({entry.title: entry.form}, f"Run {entry.number}, {note} {said}")
        else:
            left, right = titles(beside, entry.settings)
            told = f"A: {self._said(beside)} B: {said}"
            self._gallery.show({left: beside.form, right: entry.form}, told)

    def _said(self, entry: Entry) -> str:
        """Returns what a past run shows, which seeds are not in it, and what is wrong with it."""
        said = [self._declared.describe(entry.view), entry.left_out, entry.found]
        return " ".join(filter(None, said))

    def fits(self, settings: Declared) -> bool:
        """Returns whether what is shown starts as a training with these settings would."""
        start = self._place.untrained
        # The new settings last: it is they that the place then prepares a training of.
        return self.entry is not None and start(self._settings).alike(start(settings))

    def grey_if_stale(self, settings: Declared) -> None:
        """Greys the past run that is shown if it was trained with other settings."""
        # The speed makes no difference to what comes out.
        settings = replace(settings, speed=self._settings.speed)
        if self.entry is not None and settings != self._settings:
            differs = self._settings.in_words(settings)
            self._gallery.stale(
                f"Greyed: run {self.entry.number} was trained with other settings ({differs}). "
                "Press Start to train with those that are set now."
            )


def titles(beside: Entry, settings: Declared, letters: int = _LETTERS) -> tuple[str, str]:
    """Returns the titles of a past run and of what is shown beside it.

    Args:
        beside: The past run.
        settings: The settings of what is shown beside it.
        letters: How much room there is for what they differ in. Defaults to that on a page.
    """
    left, right = beside.settings.apart(settings, letters)
    return f"A, run {beside.number}: {left}", f"B: {right}"
