import pandas as pd

import keras_lcb as lcb
from tests.diagnosis.trainings import training


def test_findings_stand_below_the_table_as_text_and_as_html():
    table = lcb.summary(training({"skipped_updates": 100}))
    assert repr(table).splitlines()[-1].startswith("Skipped steps (certain): 100 of 300")
    assert "<p>Skipped steps (certain)" in table._repr_html_()
    assert len(table) == 5


def test_without_findings_it_prints_as_any_table():
    table = lcb.summary(training())
    assert repr(table) == repr(pd.DataFrame(table))


def test_what_is_made_of_it_is_a_plain_table():
    table = lcb.summary(training({"skipped_updates": 100}))
    assert type(table[["depth"]]) is pd.DataFrame
    assert "Skipped" not in repr(table[["depth"]].round(2))
