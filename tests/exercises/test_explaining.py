"""Explanations: nothing is shown before something is written, and nothing is graded."""

from __future__ import annotations

import pytest

from keras_lcb import exercises
from keras_lcb.exercises.explaining import question

SENTENCE = "The layers  differ, and one seed\nis not enough to say more."


@pytest.mark.parametrize("name", exercises.questions())
def test_the_model_answer_comes_after_an_own_one(name):
    for nothing in (..., None, "", "   ", "no idea", 3, object()):
        before = exercises.explain(name, nothing)
        assert before.written == before.model == "" and "open" in repr(before)
        assert not any(criterion in repr(before) for criterion in before.criteria)
    after = exercises.explain(name, SENTENCE)
    shown = " ".join(repr(after).split())
    assert after.written == " ".join(SENTENCE.split()) and after.written in shown
    assert " ".join(after.model.split()) in shown and len(after.model.split()) < 90
    assert 2 <= len(after.criteria) <= 3
    assert all(f"[ ] {criterion}" in shown for criterion in after.criteria)
    assert "Nobody grades this" in shown and "right" not in repr(after).split(":")[0]
    assert max(map(len, repr(after).splitlines())) <= 88


def test_unknown_questions_and_twice_the_same_letter_are_refused():
    with pytest.raises(ValueError, match="no question '99.a'. The questions are 01.a"):
        exercises.explain("99.a", SENTENCE)
    with pytest.raises(ValueError, match="already a question 01.a"):
        question("01.a", "", [])
