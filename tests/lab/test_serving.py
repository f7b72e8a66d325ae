"""When the lab's server ends a kernel, and what the command line says."""

import socket

import pytest

import keras_lcb_cli


def wait_for(coroutine):
    """Run what waits for nothing; this thread may have an event loop of the browser's."""
    with pytest.raises(StopIteration):
        coroutine.send(None)


class Clockwork:
    """`LabKernels` without kernels, at a time and with pages that the test sets."""

    def __init__(self, module, monkeypatch):
        self.now, self.pages, self.ended = 0.0, 0, []
        monkeypatch.setattr(module.time, "monotonic", lambda: self.now)
        self.kernels = module.LabKernels(cull_idle_timeout=10**9)
        monkeypatch.setattr(self.kernels, "kernel_model", lambda _: {"connections": self.pages})
        monkeypatch.setattr(self.kernels, "shutdown_kernel", self.end)
        start = module.AsyncMappingKernelManager
        monkeypatch.setattr(start, "start_kernel", self.start)
        monkeypatch.setattr(start, "cull_kernel_if_idle", self.start)
        wait_for(self.kernels.start_kernel())

    async def start(self, *_, **__):
        return "kernel"

    async def end(self, kernel_id, now):
        self.ended.append(kernel_id)

    def at(self, now, pages):
        self.now, self.pages = now, pages
        wait_for(self.kernels.cull_kernel_if_idle("kernel"))
        return self.ended == ["kernel"]


@pytest.fixture
def clockwork(monkeypatch):
    return Clockwork(keras_lcb_cli.lab_server(), monkeypatch)


def test_a_page_has_time_to_open_and_no_more(clockwork):
    assert not clockwork.at(290, pages=0)
    assert clockwork.at(310, pages=0)


def test_a_page_may_come_back_and_not_late(clockwork):
    assert not clockwork.at(100, pages=1)
    assert not clockwork.at(120, pages=0)
    assert not clockwork.at(140, pages=2)
    assert not clockwork.at(165, pages=0)
    # With 5 s between the looks, that is well within a minute of the last page.
    assert clockwork.at(175, pages=0)


def test_no_kernel_runs_for_ever(clockwork):
    assert not clockwork.at(3.9 * 3600, pages=1)
    assert clockwork.at(4.1 * 3600, pages=1)


def test_a_port_in_use_gets_a_sentence(capsys):
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        assert keras_lcb_cli.main(["lab", "--port", str(port)]) == 2
    said = capsys.readouterr()
    assert said.err.startswith(f"keras-lcb: Port {port} is in use. ") and not said.out


def test_a_missing_voila_gets_a_sentence(capsys, monkeypatch):
    found = keras_lcb_cli.find_spec
    missing = lambda name: None if name == "voila" else found(name)  # noqa: E731
    monkeypatch.setattr(keras_lcb_cli, "find_spec", missing)
    assert keras_lcb_cli.main(["lab"]) == 2
    assert "pip install 'keras-lcb[lab]'" in capsys.readouterr().err


@pytest.mark.parametrize("port", ["0", "65536", "-1", "x", "²"])
def test_what_is_no_port_is_refused(port, capsys):
    with pytest.raises(SystemExit) as end:
        keras_lcb_cli.main(["lab", f"--port={port}"])
    assert end.value.code == 2
    assert "expected a port from 1 to 65535" in capsys.readouterr().err
