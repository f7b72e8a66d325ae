"""The training that a page would start next is prepared, once, and only what is wanted."""

import threading

import pytest

from keras_lcb.lab.serving.prepared import Prepared
from tests.lab.conftest import until


class Training:
    def __init__(self, settings):
        self.settings, self.records = settings, 0

    def advance(self, enough):
        while not enough():
            self.records += 1


@pytest.fixture
def made():
    return []


@pytest.fixture
def make(made):
    def make(lab, settings):
        training = Training(settings)
        made.append((lab, settings, training))
        return training

    return make


def test_what_was_wanted_last_is_taken_with_its_first_record(make, made):
    prepared = Prepared(make, lambda: True)
    for depth in (2, 3, 4):  # a slider that moves
        prepared.want("depth", depth)
    until(lambda: made and made[-1][2].records)
    assert [one[:2] for one in made] == [("depth", 4)]
    training = prepared.take("depth", 4)
    assert training is made[0][2] and training.records == 1
    assert prepared.take("depth", 4) is None  # each is trained once


def test_other_settings_or_labs_get_nothing(make, made):
    prepared = Prepared(make, lambda: True)
    for asked in (("depth", 3), ("images", 4)):
        made.clear()
        prepared.want("depth", 4)
        until(lambda: made)
        assert prepared.take(*asked) is None


def test_what_is_being_prepared_is_waited_for(made):
    going = threading.Event()

    def make(lab, settings):
        made.append(settings)
        assert going.wait(60)
        return Training(settings)

    prepared = Prepared(make, lambda: True)
    prepared.want("depth", 4)
    until(lambda: made)
    threading.Timer(0.1, going.set).start()
    assert prepared.take("depth", 4).settings == 4
    assert made == [4]


def test_nothing_is_prepared_while_a_training_runs_and_failures_do_not_end_it(make, made):
    busy = [True]
    fails = [True]

    def sometimes(lab, settings):
        if fails[0]:
            made.append(settings)
            raise ValueError
        return make(lab, settings)

    prepared = Prepared(sometimes, lambda: not busy[0])
    prepared.want("depth", 1)
    until(lambda: prepared._wanted is None)
    assert prepared.take("depth", 1) is None and not made
    busy[0] = False
    prepared.want("depth", 2)
    until(lambda: made)
    assert prepared.take("depth", 2) is None
    fails[0] = False
    prepared.want("depth", 3)
    until(lambda: len(made) == 2)
    assert prepared.take("depth", 3).records == 1
