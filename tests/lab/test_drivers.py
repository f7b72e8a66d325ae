import asyncio
import sys
import threading
import time

import pytest

from keras_lcb.lab.engine.drivers import AsyncioDriver, ThreadDriver, make_driver


def test_threads_run_jobs_side_by_side_and_wake_early():
    driver, seen = ThreadDriver(), []
    ready = threading.Barrier(3)

    def job(name):
        ready.wait(10)
        yield 60.0
        seen.append((name, threading.current_thread().daemon))

    driver.start(job("a"))
    driver.start(job("b"))
    ready.wait(10)
    began = time.monotonic()
    while not driver.join(0.05):
        driver.wake()
        assert time.monotonic() - began < 10
    assert sorted(seen) == [("a", True), ("b", True)]


def test_a_thread_waits_as_long_as_its_job_asks():
    driver, times = ThreadDriver(), []

    def job():
        for pause in (0.05, 0.05, 0.0):
            times.append(time.monotonic())
            yield pause

    driver.start(job())
    assert driver.join(10)
    assert times[1] - times[0] >= 0.05 and times[2] - times[1] >= 0.05


def test_the_event_loop_serves_others_between_pieces():
    async def main():
        driver, order = AsyncioDriver(), []

        def job():
            for piece in range(3):
                order.append(piece)
                yield 0.0
            yield 60.0
            order.append("woken")

        driver.start(job())
        while 2 not in order:
            order.append("other")
            await asyncio.sleep(0)
        await asyncio.sleep(0.05)
        assert not driver.join(0)
        while not driver.join(0):
            driver.wake()
            await asyncio.sleep(0.01)
        return order

    order = asyncio.run(main())
    assert [step for step in order if step != "other"] == [0, 1, 2, "woken"]
    assert "other" in order[1:]


def test_threads_are_chosen_but_on_colab(monkeypatch):
    assert isinstance(make_driver(), ThreadDriver)
    monkeypatch.setitem(sys.modules, "google.colab", object())
    assert isinstance(make_driver(), AsyncioDriver)
    assert isinstance(make_driver("thread"), ThreadDriver)
    with pytest.raises(ValueError, match='"auto", "thread" or "asyncio"'):
        make_driver("fork")
