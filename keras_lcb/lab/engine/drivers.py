"""Runs a lab's jobs in the background: in threads, or on the event loop where threads fail.

A job is an iterator. Each step does a piece of work, and yields how many seconds the job can wait
before the next step. `wake` ends such a wait. Both drivers run the same jobs. On the event loop,
however, pieces of work must be short, since nothing else runs meanwhile.
"""

from __future__ import annotations

import asyncio
import contextlib
import sys
import threading
import time
from collections.abc import Iterator
from typing import Literal, Protocol

Job = Iterator[float]
DriverName = Literal["auto", "thread", "asyncio"]

# A short pause after each step, in which the event loop can send messages.
_BREATH = 0.001


class Driver(Protocol):
    """Runs jobs until they end."""

    # The longest time that a step of a job may take, in seconds; `None` for no limit.
    piece: float | None

    def start(self, job: Job) -> None:
        """Starts a job."""

    def wake(self) -> None:
        """Ends the current waits of all jobs."""

    def join(self, timeout: float) -> bool:
        """Waits for the jobs to end, if that is possible, and returns whether they have ended."""


class ThreadDriver:
    """Runs each job in a daemon thread of its own."""

    piece: float | None = None

    def __init__(self) -> None:
        self._wake = threading.Condition()
        self._woken = 0
        self._threads: list[threading.Thread] = []

    def start(self, job: Job) -> None:
        """Starts a job."""
        self._threads = [thread for thread in self._threads if thread.is_alive()]
        thread = threading.Thread(target=self._work, args=(job,), name="keras_lcb.lab", daemon=True)
        self._threads.append(thread)
        thread.start()

    def wake(self) -> None:
        """Ends the current waits of all jobs."""
        with self._wake:
            self._woken += 1
            self._wake.notify_all()

    def join(self, timeout: float) -> bool:
        """Waits for the jobs to end, and returns whether they have ended."""
        until = time.monotonic() + timeout
        for thread in self._threads:
            if thread is not threading.current_thread():
                thread.join(max(0.0, until - time.monotonic()))
        return not any(thread.is_alive() for thread in self._threads)

    def _work(self, job: Job) -> None:
        seen = self._woken
        for pause in job:
            until = time.monotonic() + pause
            with self._wake:
                while self._woken == seen and (left := until - time.monotonic()) > 0:
                    self._wake.wait(left)
                seen = self._woken


class AsyncioDriver:
    """Runs each job as a task of the running event loop, in short pieces."""

    piece: float | None = 0.05

    def __init__(self) -> None:
        self._woken = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []

    def start(self, job: Job) -> None:
        """Starts a job."""
        self._tasks = [task for task in self._tasks if not task.done()]
        self._tasks.append(asyncio.get_running_loop().create_task(self._work(job)))

    def wake(self) -> None:
        """Ends the current waits of all jobs."""
        self._woken.set()
        self._woken = asyncio.Event()

    def join(self, timeout: float) -> bool:
        """Returns whether the jobs have ended; the loop cannot wait for its own tasks."""
        return all(task.done() for task in self._tasks)

    async def _work(self, job: Job) -> None:
        for pause in job:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._woken.wait(), max(pause, _BREATH))


def make_driver(name: DriverName = "auto") -> Driver:
    """Returns a driver.

    Args:
        name: "thread", "asyncio", or "auto", which uses threads except on Colab. Colab is reported
            not to deliver what threads send to widgets. Defaults to "auto".

    Raises:
        ValueError: If there is no such driver.
    """
    if name == "auto":
        name = "asyncio" if "google.colab" in sys.modules else "thread"
    if name == "asyncio":
        return AsyncioDriver()
    if name == "thread":
        return ThreadDriver()
    raise ValueError(f'`driver` must be "auto", "thread" or "asyncio"; received {name!r}.')
