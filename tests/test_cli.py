"""The command as a user meets it: in a process of its own, on its real arguments."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from importlib.metadata import version
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
import pytest
import xarray as xr

import keras_lcb as lcb
import keras_lcb_cli as cli
from keras_lcb.runs import schema
from tests.diagnosis.trainings import training


@pytest.fixture
def run_file(tmp_path) -> Path:
    distance = np.array([[4.0, 2.0], [2.0, 1.5], [0.0, 0.0]])
    over = ("step", "layer")
    run = schema.dataset(
        {"distance": (over, distance), "normalized_distance": (over, distance / distance[0])},
        {"step": [0, 10, 20], "layer": ["hidden", "head"], "depth": [0, 1]},
        {"reference": "final"},
    )
    lcb.save_run(run, tmp_path / "run.nc")
    return tmp_path / "run.nc"


def _command(*arguments: object, before: str = "pass", **environment: str):
    """Runs the command in a fresh process, after the Python code `before`."""
    program = f"import sys; {before}; import keras_lcb_cli as c; sys.exit(c.main(sys.argv[1:]))"
    return subprocess.run(
        [sys.executable, "-c", program, *map(str, arguments)],
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        env={**os.environ, **environment},
    )


def _refusal(capfd, *arguments: object) -> str:
    """What the command says when it refuses; in this process, since Keras is loaded here."""
    assert cli.main([str(argument) for argument in arguments]) == 2
    err = capfd.readouterr().err
    assert err.startswith("keras-lcb: ") and err.count("\n") == 1
    return err


def test_version_and_help_answer_without_loading_keras():
    check = "import atexit; atexit.register(lambda: print('keras' in sys.modules))"
    told = _command("--version", before=check)
    assert told.stdout.split("\n")[:2] == [f"keras-lcb {version('keras-lcb')}", "False"]
    told = _command("--help", before=check)
    assert "keras-lcb report run.nc -o run.html" in told.stdout
    assert told.stdout.endswith("False\n")
    assert (told.returncode, told.stderr) == (0, "")


def test_the_version_is_that_of_the_package():
    assert version("keras-lcb") == lcb.__version__


def test_report_is_written_beside_the_run(run_file, capfd):
    assert cli.main(["report", str(run_file)]) == 0
    assert capfd.readouterr() == (f"{run_file.with_suffix('.html')}\n", "")
    assert "<html" in run_file.with_suffix(".html").read_text()


def test_report_is_written_where_it_is_wanted(run_file, tmp_path):
    assert cli.main(["report", str(run_file), "-o", str(tmp_path / "other.html")]) == 0
    assert (tmp_path / "other.html").exists()
    assert not run_file.with_suffix(".html").exists()


def test_a_report_never_overwrites_its_run(run_file, tmp_path, capfd):
    content = run_file.read_bytes()
    page = run_file.rename(tmp_path / "run.html")
    link = tmp_path / "link.html"
    link.symlink_to(page)
    for arguments in ([page], [page, "-o", page], [page, "-o", link], [link, "-o", page]):
        assert "Give another file with -o." in _refusal(capfd, "report", *arguments)
        assert page.read_bytes() == content
    assert cli.main(["report", str(page), "-o", str(tmp_path / "other.html")]) == 0


def test_an_unforeseen_error_is_no_finding(run_file, monkeypatch, capfd):
    def broken(run):
        raise RuntimeError("unforeseen")

    monkeypatch.setattr(lcb, "diagnose", broken)
    assert cli.main(["diagnose", str(run_file), "--fail-on", "any"]) == 3
    assert capfd.readouterr().err.endswith("RuntimeError: unforeseen\n")


def test_diagnose_prints_sentences_and_fails_where_it_is_told_to(tmp_path, capfd):
    path = tmp_path / "skipping.nc"
    lcb.save_run(training({"skipped_updates": 100}), path)
    assert cli.main(["diagnose", str(path)]) == 0
    assert capfd.readouterr().out.startswith("Skipped steps (certain): ")
    assert cli.main(["diagnose", str(path), "--fail-on", "not finite"]) == 0
    assert cli.main(["diagnose", str(path), "--fail-on", "skipped steps"]) == 1
    assert cli.main(["diagnose", str(path), "--fail-on", "any"]) == 1
    lcb.save_run(training(), path)
    assert cli.main(["diagnose", str(path), "--fail-on", "any"]) == 0
    capfd.readouterr()
    assert "dead units" in _refusal(capfd, "diagnose", path, "--fail-on", "dead unit")


def test_no_file(tmp_path, capfd):
    assert "no file" in _refusal(capfd, "report", tmp_path / "none.nc")


def test_a_folder_for_a_file(tmp_path, capfd):
    assert str(tmp_path) in _refusal(capfd, "report", tmp_path)
    assert "'.'" in _refusal(capfd, "report", ".")


def test_damaged_files(run_file, capfd):
    content = run_file.read_bytes()
    for damaged in (content[:1000], content[:-100], b"", b"\x00" * 5000, b"not a run"):
        run_file.write_bytes(damaged)
        assert str(run_file) in _refusal(capfd, "report", run_file)


def test_foreign_files(tmp_path, capfd):
    foreign = tmp_path / "foreign.nc"
    xr.Dataset({"temperature": ("day", [1.0, 2.0])}).to_netcdf(foreign, engine="h5netcdf")
    assert "does not hold a run" in _refusal(capfd, "report", foreign)
    with h5py.File(foreign, "w") as file:
        file["elsewhere"] = h5py.ExternalLink("/etc/hostname", "/")
    assert str(foreign) in _refusal(capfd, "report", foreign)


def test_unwritable_places(run_file, tmp_path, capfd):
    file = tmp_path / "file"
    file.write_text("")
    assert "out.html" in _refusal(capfd, "report", run_file, "-o", file / "out.html")
    assert "out.html" in _refusal(capfd, "report", run_file, "-o", tmp_path / "no" / "out.html")
    refused = _refusal(capfd, "report", run_file, "-o", tmp_path)
    assert str(tmp_path) in refused and "Give the name of a file" in refused
    assert str(file) in _refusal(capfd, "demo", "--out", file)
    assert str(file) in _refusal(capfd, "demo", "--out", file / "below")
    if os.path.isdir("/proc"):  # where not even root may write
        assert "/proc/demo" in _refusal(capfd, "demo", "--out", "/proc/demo")


def test_unknown_data_set(tmp_path, capfd):
    assert "'digits'" in _refusal(capfd, "demo", "--data", "digit", "--out", tmp_path / "demo")


@pytest.mark.parametrize("arguments", [[], ["paint"], ["report"], ["demo", "--seed", "-1"]])
def test_wrong_arguments(arguments, capsys):
    with pytest.raises(SystemExit) as stopped:
        cli.main(arguments)
    assert stopped.value.code == 2
    assert "usage: keras-lcb" in capsys.readouterr().err


@pytest.mark.parametrize("command", ["run synthetic", "results"])
def test_no_seed_is_refused_by_the_name_of_its_option(command, capsys):
    with pytest.raises(SystemExit):
        cli.main([*command.split(), "--seeds", "0"])
    assert "--seeds: expected a whole number, 1 or more; received '0'" in capsys.readouterr().err


@pytest.mark.parametrize("command", ["run synthetic", "results", "atlas"])
@pytest.mark.parametrize("jobs", ["0", "-3", "some"])
def test_no_process_is_refused_by_the_name_of_its_option(command, jobs, capsys):
    with pytest.raises(SystemExit) as stopped:
        cli.main([*command.split(), f"--jobs={jobs}"])
    assert stopped.value.code == 2
    said = f"--jobs: expected a whole number, 1 or more; received '{jobs}'"
    assert said in capsys.readouterr().err


def test_run_synthetic_writes_run_report_and_figures(tmp_path, capfd):
    sizes = "--depth 3 --width 4 --updates 40 --record-every 20 --points 64 --batch-size 32"
    options = f"run synthetic {sizes} --optimizer adam --seeds 2 --jobs 1".split()
    assert cli.main([*options, "--out", str(tmp_path / "new")]) == 0
    assert "over 2 runs" in capfd.readouterr().out
    run = lcb.load_run(tmp_path / "new" / "run.nc")
    assert dict(run.frequency_share.sizes) == {"seed": 2, "step": 3, "layer": 4, "frequency": 4}
    config = schema.settings(run)["Config"]
    assert (config["optimizer"], config["width"], "seed" in config) == ("adam", 4, False)
    assert "<html" in (tmp_path / "new" / "report.html").read_text()
    assert "Share of each frequency" in (tmp_path / "new" / "report.html").read_text()


def test_run_synthetic_takes_a_formula(tmp_path):
    sizes = "--depth 2 --width 4 --updates 4 --record-every 2 --points 64 --batch-size 32"
    arguments = [*f"run synthetic {sizes} --out".split(), str(tmp_path), "--target", "sin(2*x)"]
    assert cli.main(arguments) == 0
    run = lcb.load_run(tmp_path / "run.nc")
    assert schema.settings(run)["Config"]["target"]["formula"] == "sin(2*x)"
    assert 2 in run.frequency


def test_what_run_synthetic_refuses(tmp_path, capfd):
    for words, wrong in {
        "Nyquist": ["--points", "40"],
        "depth": ["--depth", "99"],
        "adamm": ["--optimizer", "adamm"],
        "did you mean 'sin'": ["--target", "sine(x)"],
    }.items():
        assert words in _refusal(capfd, "run", "synthetic", "--out", tmp_path, *wrong)


def test_what_results_refuses(tmp_path, capfd):
    for words, wrong in {
        "no section '7'": ["--sections", "7"],
        "no claim 'deeper-first' here; there are shallower-first": ["--claims", "deeper-first"],
        "no setting 'depht'": ["--claims", "shallower-first", "--set", "depht=3"],
        "`optimizer` is no number": ["--claims", "shallower-first", "--scale", "optimizer=2"],
        "`--set` was given twice for width": ["--quick", "--set", "width=3", "--set", "width=5"],
        "one of dask, loky, ray": ["--quick", "--backend", "slurm"],
    }.items():
        assert words in _refusal(capfd, "results", "--out", tmp_path / "out", *wrong)


def test_changes_of_settings_are_numbers_or_words():
    options = cli._parser().parse_args(["results", "--set", "width=8", "--set", "optimizer=adam"])
    assert dict(options.changes) == {"width": 8, "optimizer": "adam"}
    with pytest.raises(SystemExit):
        cli._parser().parse_args(["results", "--set", "width"])


def test_settings_are_multiplied_by_numbers():
    options = cli._parser().parse_args(["results", "--scale", "learning_rate=0.5"])
    assert options.factors == [("learning_rate", 0.5)]
    for wrong in ("learning_rate=half", "learning_rate=True", "learning_rate"):
        with pytest.raises(SystemExit):
            cli._parser().parse_args(["results", "--scale", wrong])


def test_the_page_says_the_command_but_not_where_it_ran(tmp_path):
    what = "--claims freezing-shallow-is-cheap --seeds 1 --set updates=40 --scale width=0.5".split()
    where = ["--page-only", "--runs", tmp_path / "runs", "--out", tmp_path, "--jobs", "2"]
    assert cli.main(["results", *what[:2], *where, *what[2:]]) == 0
    text = (tmp_path / "RESULTS.md").read_text()
    assert f"Made by `keras-lcb results {' '.join(what)}` from" in text and "--jobs" not in text


def test_quick_results_are_a_page_with_honest_intervals(tmp_path):
    """With two seeds in place of five, which give wide intervals, and no verdicts."""
    options = ["--quick", "--sections", "2", "5", "--seeds", "2", "--jobs", "1"]
    told = _command("results", *options, "--out", tmp_path)
    assert (told.returncode, told.stdout) == (0, f"{tmp_path / 'RESULTS.md'}\n"), told.stderr
    text = (tmp_path / "RESULTS.md").read_text()
    assert "**A quick study: a few small settings.**" in text and "## Failed" not in text
    cells = [cell.strip() for cell in text.split("|")]
    signs = [cell[0] for cell in cells if cell[:2] in ("○ ", "▲ ", "▼ ") and "[" in cell]
    assert set(signs) == {"○"}
    found = pd.read_csv(tmp_path / "results" / "findings.csv")
    settings = found[(found.setting != "mean over settings") & (found.seeds > 1)]
    assert set(settings.seeds) == {2} and (settings.low < settings.effect).any()
    assert (settings.low <= settings.effect).all() and len(settings) > 5
    for claim in settings.claim.unique():
        assert f"*{claim}*" in text and (tmp_path / "results" / f"{claim}.png").exists()


def test_a_backend_that_is_not_installed_or_unknown(tmp_path):
    told = _command(
        "demo", "--backend", "torch", "--out", tmp_path, before="sys.modules['torch'] = None"
    )
    assert told.returncode == 2
    assert told.stderr == (
        "keras-lcb: The backend torch is not installed. Install it (pip install torch), or choose "
        "another backend.\n"
    )
    told = _command("demo", "--out", tmp_path, KERAS_BACKEND="theano")
    assert told.returncode == 2
    assert told.stderr == (
        "keras-lcb: KERAS_BACKEND must be one of tensorflow, jax, torch; received 'theano'.\n"
    )


def test_a_keras_that_does_not_load(tmp_path, monkeypatch):
    monkeypatch.delenv("KERAS_BACKEND", raising=False)
    told = _command("demo", "--out", tmp_path, before="sys.modules['tensorflow'] = None")
    assert told.returncode == 2
    assert told.stderr.splitlines()[-1].startswith(
        "keras-lcb: Keras or a library it needs cannot be loaded: "
    )
    assert "Traceback" not in told.stderr


def test_ctrl_c_is_not_swallowed_by_what_is_loaded():
    script = """
import os, signal, time, keras_lcb_cli
with keras_lcb_cli.loading():
    try:
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(10)
    except BaseException:
        pass
print("went on")
"""
    ended = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert (ended.returncode, ended.stdout) == (130, "")


def test_what_is_loaded_is_not_searched_for_garbage():
    script = """
import gc, keras_lcb_cli
for error in (None, KeyError("a"), ImportError("b")):
    try:
        with keras_lcb_cli.loading():
            made = [error, gc.isenabled()]
            if error:
                raise error
    except (KeyError, ValueError):
        pass
    print(made[1], gc.isenabled(), any(made is one for one in gc.get_objects()))
"""
    ended = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert ended.stdout.splitlines() == ["False True False"] * 3


def test_ctrl_c_ends_quietly(tmp_path):
    demo = subprocess.Popen(
        [sys.executable, "-m", "keras_lcb_cli", "demo", "--out", str(tmp_path / "demo")],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        # Commands that a shell starts in the background ignore Ctrl-C, and so do their children.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    while not (tmp_path / "demo").exists():  # made before Keras is loaded, which takes seconds
        assert demo.poll() is None
        time.sleep(0.05)
    demo.send_signal(signal.SIGINT)
    out, err = demo.communicate(timeout=120)
    assert demo.returncode == 130
    assert "Traceback" not in err
