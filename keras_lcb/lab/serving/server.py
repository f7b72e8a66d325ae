"""Serves the lab with Voilà: to this machine only, with a token, and without leftover kernels.

The command line loads this file by its path, because importing the package would import Keras,
which only the kernels need. Therefore this file imports nothing of the package.
"""

from __future__ import annotations

import errno
import os
import secrets
import signal
import socket
import subprocess
import sys
import threading
import time
import webbrowser
from pathlib import Path
from typing import Any

import voila.app
from jupyter_client.kernelspec import KernelSpecManager
from jupyter_server.services.kernels.kernelmanager import AsyncMappingKernelManager
from traitlets import Float
from traitlets.config import Config
from voila.app import Voila
from voila.shutdown_kernel_handler import VoilaShutdownKernelHandler

PAGE = Path(__file__).parents[1] / "page"
TRAINER = Path(__file__).with_name("trainer.py")
PROJECTOR = "KERAS_LCB_PROJECTOR"
ADDRESS = "127.0.0.1"
PORT = 8866


class LabKernels(AsyncMappingKernelManager):
    """Ends kernels soon after their page is closed, even if they are busy.

    jupyter_server considers a kernel that sends messages as used. A kernel that trains would never
    be idle, even if nobody sees its pictures. Here, the connections of the page decide.
    """

    unopened_after = Float(300.0, help="Seconds that a page may take to load.").tag(config=True)
    orphaned_after = Float(30.0, help="Seconds without a page, once it was there.").tag(config=True)
    longest_run = Float(4 * 3600.0, help="Seconds that a kernel may run at all.").tag(config=True)

    def __init__(self, **kwargs: Any):
        super().__init__(**kwargs)
        self._started: dict[str, float] = {}
        self._last_seen: dict[str, float] = {}

    async def start_kernel(self, **kwargs: Any) -> str:  # type: ignore[override]
        """Starts a kernel that logs errors only, since its warnings concern networked kernels."""
        kernel_id = await super().start_kernel(extra_arguments=["--log-level=ERROR"], **kwargs)
        self._started[kernel_id] = time.monotonic()
        return kernel_id

    async def cull_kernel_if_idle(self, kernel_id: str) -> None:
        """Ends a kernel whose page is closed. It is called every `cull_interval` seconds."""
        now = time.monotonic()
        started = self._started.get(kernel_id, now)
        if self.kernel_model(kernel_id)["connections"]:
            self._last_seen[kernel_id] = now
        elif kernel_id not in self._last_seen:
            if now - started > self.unopened_after:
                return await self._end(kernel_id, "Its page was never opened")
        elif now - self._last_seen[kernel_id] > self.orphaned_after:
            return await self._end(kernel_id, "Its page was closed")
        if now - started > self.longest_run:
            return await self._end(kernel_id, "It reached the time limit")
        await super().cull_kernel_if_idle(kernel_id)

    async def _end(self, kernel_id: str, reason: str) -> None:
        self.log.info("%s: ending kernel %s.", reason, kernel_id)
        del self._started[kernel_id]
        self._last_seen.pop(kernel_id, None)
        # With `now`, since a kernel that is asked to end may first finish its training step.
        await self.shutdown_kernel(kernel_id, now=True)


class Farewell(VoilaShutdownKernelHandler):
    """Ends a kernel when its page says that it closes.

    A closing page cannot send the token that tornado asks of forms, so it got the answer 403. It is
    not needed: a page elsewhere does not know the kernel's id.
    """

    def check_xsrf_cookie(self) -> None:
        """Asks for no token."""


class ThisPython(KernelSpecManager):
    """Runs kernels in the Python that serves them, and ignores other registered kernels."""

    kernel_dirs: list[str] = []


class LabServer(Voila):
    """Voilà, with an address that includes the token, which it prints and opens in the browser."""

    opens = True

    def initialize(self, argv: list[str] | None = None) -> None:
        """Sets up the server, so that it also ends when its terminal is closed."""
        setattr(voila.app, VoilaShutdownKernelHandler.__name__, Farewell)
        super().initialize(argv)
        self.template_paths.insert(0, str(PAGE))
        if hasattr(signal, "SIGHUP"):
            signal.signal(signal.SIGHUP, self._handle_signal_stop)

    def launch_browser(self) -> None:
        """Prints the address, and opens it in the browser, unless it should not."""
        print(f"The lab is at {self.display_url}\nCtrl-C ends it.", flush=True)
        if not self.opens:
            return
        threading.Thread(target=webbrowser.open, args=[self.display_url], daemon=True).start()


def serve(
    *,
    port: int | None = None,
    projector: bool = False,
    browser: bool = True,
    settings: Config | None = None,
) -> None:
    """Serves the lab until Ctrl-C.

    Args:
        port: The port. Defaults to `None`: 8866, or a free one near it.
        projector: Whether labs are drawn for a projector. Defaults to `False`.
        browser: Whether to open the page in the browser. Defaults to `True`.
        settings: Settings of Voilà and `LabKernels`, which override those made here. Defaults to
            `None`.

    Raises:
        ValueError: If the port cannot be used.
    """
    if port is not None:
        _check_port(port)
    os.environ[PROJECTOR] = "1" if projector else ""
    trainer = _start_trainer()
    config = _config()
    config.merge(settings or Config())
    server = LabServer.instance(
        config=config,
        config_file_paths=[],
        notebook_path=str(PAGE / "lab.ipynb"),
        ip=ADDRESS,
        port=PORT if port is None else port,
        port_retries=50 if port is None else 0,
        auto_token=True,
        # In milliseconds. tornado warns if it is longer than the interval between pings, as
        # jupyter_server's default is.
        tornado_settings={"ws_ping_timeout": 30_000},
    )
    server.opens = browser
    server.initialize([])
    try:
        server.start()
    finally:
        trainer.communicate()  # closes its standard input, at which it ends


def _start_trainer() -> subprocess.Popen[bytes]:
    """Starts the process that trains, and tells the kernels to come where it is."""
    os.environ["KERAS_LCB_TRAINER_SECRET"] = secrets.token_hex()
    # A lab's networks are so small that several threads for one operation wait for one another.
    one_thread = {"TF_NUM_INTRAOP_THREADS": "1"}
    trainer = subprocess.Popen(
        [sys.executable, str(TRAINER)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=one_thread | os.environ,
    )
    assert trainer.stdout is not None
    os.environ["KERAS_LCB_TRAINER"] = trainer.stdout.readline().decode().strip()
    return trainer


def _config() -> Config:
    config = Config()
    # Only errors: otherwise there is a warning that the lab's notebook is not signed.
    config.Voila.log_level = "ERROR"
    config.VoilaConfiguration.multi_kernel_manager_class = LabKernels
    config.VoilaConfiguration.kernel_spec_manager_class = ThisPython
    # No other extensions, since they are made for JupyterLab, and some fail in Voilà.
    config.VoilaConfiguration.extension_allowlist = [
        "@jupyter-widgets/jupyterlab-manager",
        "@voila-dashboards/widgets-manager8",
        "anywidget",
    ]
    config.LabKernels.cull_interval = 5
    config.LabKernels.cull_idle_timeout = 3600
    config.LabKernels.cull_busy = True
    config.LabKernels.cull_connected = True
    return config


def _check_port(port: int) -> None:
    with socket.socket() as probe:
        # As the server does, so that a port that was just released can be used again.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((ADDRESS, port))
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                raise ValueError(
                    f"Port {port} is in use. End the program that uses it, choose another port, or "
                    "leave --port out."
                ) from None
            raise ValueError(f"Port {port} cannot be used: {error.strerror}.") from None
