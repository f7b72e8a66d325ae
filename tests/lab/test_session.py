"""Session logic with a training that only waits: what trains really is tested elsewhere."""

import asyncio
import dataclasses
import threading
import time
import types

import pytest

from keras_lcb.lab.engine.drivers import AsyncioDriver, ThreadDriver
from keras_lcb.lab.engine.session import Session, State
from keras_lcb.lab.settings import Settings

SETTINGS = Settings(updates=1000)  # 100 records of 10 updates


class Training:
    """As `lab.training.Training`, without a network: a record takes a millisecond."""

    fails = False

    def __init__(self, settings, seed):
        rate = settings.learning_rate
        self.config = types.SimpleNamespace(
            updates=settings.updates, record_every=10, learning_rate=rate
        )
        self.seed, self.learning_rate, self.records = seed, rate, 0
        self.rates, self.thread, self.diverged = [], None, False
        self.changes, self.planned = [], settings.planned_rates

    @property
    def step(self):
        return 10 * self.records

    @property
    def news(self):
        return self.records

    @property
    def done(self):
        return self.diverged or self.step >= self.config.updates

    def advance(self, enough):
        if self.fails:
            raise RuntimeError("no network")
        self.thread = threading.current_thread()
        while not self.done:
            time.sleep(0.001)
            self.records += 1
            self.rates.append(self.learning_rate)
            if enough():
                return

    def view(self):
        return self.records

    def run(self):
        return self.seed, self.records


class Watched(Session):
    def __init__(self, driver=None, training=Training):
        self.views, self.states, self.ends, self.trainings = [], [], [], []

        def make(settings, seed):
            self.trainings.append(training(settings, seed))
            return self.trainings[-1]

        super().__init__(
            driver or ThreadDriver(),
            make,
            self.views.append,
            lambda: self.states.append(self.state),
            self.ends.append,
        )

    def wait(self, condition, seconds=20.0):
        until = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < until, self.state
            time.sleep(0.002)


@pytest.fixture
def session():
    session = Watched()
    yield session
    assert session.close()


def test_a_training_runs_off_the_main_thread_to_its_end(session):
    session.start(SETTINGS)
    assert session.active
    session.wait(lambda: session.ends)
    assert session.state is State.DONE
    assert session.ends == [[(0, 100)]]
    assert session.states == [State.RUNNING, State.DONE]
    assert session.trainings[0].thread is not threading.main_thread()
    assert session.views == sorted(set(session.views))
    assert session.progress == (1000, 1000)


def test_stop_ends_it_at_the_next_record_and_nothing_is_drawn_after_it(session):
    session.start(dataclasses.replace(SETTINGS, updates=20_000))
    session.wait(lambda: session.views)
    began = time.monotonic()
    session.stop()
    assert session.state is State.STOPPED and not session.active
    drawn = len(session.views)
    session.wait(lambda: session.ends)
    assert time.monotonic() - began < 5
    records = session.trainings[0].records
    time.sleep(0.3)
    assert len(session.views) == drawn and session.trainings[0].records == records
    assert session.ends == [[(0, records)]]


def test_a_start_right_after_stop_keeps_what_was_stopped(session):
    session.start(dataclasses.replace(SETTINGS, updates=20_000))
    session.wait(lambda: session.views)
    session.stop()
    session.start(dataclasses.replace(SETTINGS, seed=1))
    session.wait(lambda: len(session.ends) == 2)
    stopped, whole = session.ends
    assert stopped == [(0, session.trainings[0].records)] and whole == [(1, 100)]
    assert session.states == [State.RUNNING, State.STOPPED, State.RUNNING, State.DONE]


def test_training_waits_for_the_first_picture_and_for_no_other():
    session = Watched()
    records = []  # before a picture is drawn, and after it

    def draw(view):
        before = session.trainings[0].records
        time.sleep(0.05)
        records.append((before, session.trainings[0].records))

    session._on_view = draw
    session.start(dataclasses.replace(SETTINGS, updates=3000))
    session.wait(lambda: session.ends)
    assert session.close()
    assert records[0] == (1, 1)
    assert len(records) > 1 and all(after > before for before, after in records[1:-1])


def test_pause_and_start_go_on_with_the_same_training(session):
    session.start(dataclasses.replace(SETTINGS, updates=20_000))
    session.wait(lambda: session.trainings and session.trainings[0].records > 3)
    session.pause()
    time.sleep(0.1)
    records = session.trainings[0].records
    time.sleep(0.1)
    assert session.trainings[0].records == records and session.state is State.PAUSED
    session.start(Settings(depth=1))
    session.wait(lambda: session.trainings[0].records > records)
    assert len(session.trainings) == 1 and session.settings.depth == 5


def test_step_takes_one_record_and_pauses(session):
    session.start(SETTINGS, records=1)
    session.wait(lambda: session.state is State.PAUSED)
    assert session.trainings[0].records == 1
    session.start(SETTINGS, records=1)
    session.wait(lambda: session.state is State.PAUSED)
    assert session.trainings[0].records == 2


class _Prepared(Training):
    """One that was trained up to its first record before it was asked for."""

    def __init__(self, settings, seed):
        super().__init__(settings, seed)
        self.records = 1


def test_the_first_step_shows_the_first_record_of_a_prepared_training():
    session = Watched(training=_Prepared)
    session.start(SETTINGS, records=1)
    session.wait(lambda: session.state is State.PAUSED and session.views)
    assert session.trainings[0].records == 1 and session.views == [1]
    session.start(SETTINGS, records=1)
    session.wait(lambda: session.trainings[0].records == 2 and session.state is State.PAUSED)
    assert session.close()


def test_the_learning_rate_changes_without_a_pause(session):
    session.start(dataclasses.replace(SETTINGS, updates=20_000))
    session.wait(lambda: session.trainings and session.trainings[0].records > 3)
    session.set_learning_rate(0.5)
    session.wait(lambda: session.trainings[0].rates[-1] == 0.5)
    assert session.trainings[0].rates[0] == SETTINGS.learning_rate
    assert session.states == [State.RUNNING]


def test_slow_motion_makes_no_more_updates_than_asked_for(session):
    session.start(dataclasses.replace(SETTINGS, speed=200))
    session.wait(lambda: session.trainings and session.trainings[0].records)
    before, began = session.trainings[0].records, time.monotonic()
    time.sleep(0.5)
    made = 10 * (session.trainings[0].records - before)
    assert 0 < made <= 200 * (time.monotonic() - began) + 10
    assert session.seconds_left is None or session.seconds_left <= 1000 / 200 + 1


def test_several_seeds_make_one_result(session):
    session.start(dataclasses.replace(SETTINGS, updates=100, seed=3, seeds=3))
    session.wait(lambda: session.ends)
    assert session.ends == [[(3, 10), (4, 10), (5, 10)]]
    assert session.progress == (300, 300)


def test_what_changed_in_a_seed_changes_in_those_after_it(session):
    class Changing(Training):
        def advance(self, enough):
            while self.planned and self.planned[0][0] < self.config.updates:
                self.changes.append(self.planned.pop(0))
            if self.seed == 0:
                self.changes.append((40, 0.7))
            super().advance(enough)

    changing = Watched(training=Changing)
    changing.start(dataclasses.replace(SETTINGS, updates=100, seeds=2, changes="20:0.3,900:0.2"))
    changing.set_learning_rate(0.7)  # in the first seed
    changing.wait(lambda: changing.ends)
    first, second = changing.trainings
    assert second.rates[0] == second.learning_rate == SETTINGS.learning_rate
    assert second.changes == first.changes == [(20, 0.3), (40, 0.7)]
    assert changing.schedule == [(20, 0.3), (40, 0.7), (900, 0.2)]
    assert changing.settings.changes == "20:0.3,40:0.7,900:0.2" and changing.close()


def test_a_training_that_fails_says_why(session):
    failing = Watched(training=type("Failing", (Training,), {"fails": True}))
    failing.start(SETTINGS)
    failing.wait(lambda: failing.ends)
    assert failing.state is State.FAILED and failing.error == "RuntimeError: no network"
    assert failing.ends == [[]] and failing.close()


def test_a_loss_that_is_no_number_ends_it(session):
    class Diverging(Training):
        def advance(self, enough):
            self.records, self.diverged = 1, True

    diverging = Watched(training=Diverging)
    diverging.start(SETTINGS)
    diverging.wait(lambda: diverging.ends)
    assert diverging.state is State.DIVERGED and diverging.close()


def test_reset_forgets_the_training(session):
    session.start(dataclasses.replace(SETTINGS, updates=20_000))
    session.wait(lambda: session.views)
    session.reset()
    assert session.state is State.READY and session.progress[0] == 0
    time.sleep(0.1)
    assert session.ends == []
    session.start(SETTINGS)
    session.wait(lambda: session.ends)
    assert len(session.ends) == 1


def test_close_leaves_no_thread(session):
    before = set(threading.enumerate())
    other = Watched()
    other.start(dataclasses.replace(SETTINGS, updates=20_000))
    other.wait(lambda: other.views)
    other.pause()
    assert set(threading.enumerate()) - before
    assert other.close()
    assert not set(threading.enumerate()) - before


def test_two_sessions_do_not_disturb_each_other(session):
    other = Watched()
    session.start(dataclasses.replace(SETTINGS, seed=1))
    other.start(dataclasses.replace(SETTINGS, seed=2, updates=20_000))
    other.wait(lambda: other.views)
    other.stop()
    session.wait(lambda: session.ends)
    assert session.state is State.DONE and session.ends == [[(1, 100)]]
    assert other.close()


def test_on_the_event_loop_pieces_are_short_and_stop_gets_through():
    async def main():
        session = Watched(AsyncioDriver())
        session.start(dataclasses.replace(SETTINGS, updates=20_000))
        longest, last = 0.0, time.monotonic()
        while len(session.views) < 3:
            await asyncio.sleep(0)
            longest, last = max(longest, time.monotonic() - last), time.monotonic()
        session.stop()
        while not session.ends:
            await asyncio.sleep(0.001)
        assert session.trainings[0].thread is threading.main_thread()
        assert longest < 1.0
        return session

    session = asyncio.run(main())
    assert session.state is State.STOPPED and 0 < session.trainings[0].records < 2000
