"""Records that survive the process, its files, and what happens when those are not as expected."""

from __future__ import annotations

import errno
import os
import pathlib
import shutil
import signal
import subprocess
import sys

import keras
import numpy as np
import pytest

import keras_lcb as lcb
from keras_lcb.callbacks.backup import Backup
from tests.callbacks.killed_training import KILLED_AT, trained
from tests.callbacks.tiny import close, compiled, dense, dense_rows, train
from tests.plain_copies import PlainCopies, distances

ROOT = pathlib.Path(__file__).parents[2]


def steps_in(folder):
    return [int(path.stem) for path in sorted(folder.glob("*.npz"))]


def test_a_training_killed_within_an_epoch_goes_on_in_a_new_process(tmp_path):
    killed = subprocess.run(
        [sys.executable, "-m", "tests.callbacks.killed_training", str(tmp_path / "killed")],
        cwd=ROOT,
        env={**os.environ, "KERAS_BACKEND": keras.backend.backend(), "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    kept = tmp_path / "killed" / "updates" / "LayerConvergence"
    assert steps_in(kept) == [*range(0, KILLED_AT + 1, 2)]
    times = [np.load(path)["wall_time"].item() for path in sorted(kept.glob("*.npz"))]

    resumed, whole = trained(tmp_path / "killed"), trained(tmp_path / "whole")
    for name, expected in whole.items():
        run = resumed[name]
        assert run.attrs["provisional"] == 0
        assert (np.diff(run.step) > 0).all()
        assert (np.diff(run.wall_time) > 0).all()
        assert set(run.data_vars) == set(expected.data_vars)
        for variable in {*expected.variables} - {"wall_time"}:
            if expected[variable].dtype.kind in "iuf":
                close(run[variable], expected[variable], rtol=1e-4)
            else:
                assert run[variable].values.tolist() == expected[variable].values.tolist()
    # Up to the model's last checkpoint these are the killed process's own records.
    np.testing.assert_array_equal(resumed["updates"].wall_time[:6], times[:6])
    assert resumed["updates"].wall_time[6] > times[5]
    assert resumed["epochs"].step.values.tolist() == [0, 5, 10, 15, 20]


def copies_of_the_run(model, tmp_path, **options):
    """A callback with a backup that has followed one fit, and the weights of that fit."""
    convergence = lcb.LayerConvergence(backup=tmp_path, **options)
    plain = PlainCopies()
    train(model, convergence, plain)
    return convergence, plain


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"on_device": True},
        {"memory": "sketch", "buckets": 9},
        {"memory": "sketch", "buckets": 9, "on_device": True},
    ],
)
def test_a_new_callback_goes_on_where_the_model_stands(options, tmp_path):
    model = compiled(dense("a", "b"))
    first, plain = copies_of_the_run(model, tmp_path, **options)
    second = lcb.LayerConvergence(backup=tmp_path, **options)
    train(model, first, second, plain, epochs=2)
    run, expected = second.results, first.results
    assert run.step.values.tolist() == [0, 2, 4, 6, 8, 10]
    for name in expected.data_vars:
        np.testing.assert_array_equal(run[name], expected[name])
    if "memory" not in options:
        close(run.distance, distances(model, plain.taken, dense_rows("a", "b")))


def test_updates_of_a_second_optimizer_are_counted_on(tmp_path):
    model = compiled(dense("a", "b"))
    first, plain = copies_of_the_run(model, tmp_path)
    compiled(model)
    train(model, first, plain, epochs=1)
    second = lcb.LayerConvergence(backup=tmp_path)
    train(model, second, plain, epochs=1)
    assert second.results.step.values.tolist() == [0, 2, 4, 6, 8, 10]
    close(second.results.distance, distances(model, plain.taken, dense_rows("a", "b")))


def test_an_overflow_that_was_not_foreseen_can_be_resumed(tmp_path):
    model = compiled(dense("a", "b"))
    options = {"every": 1, "buckets": 12, "budget": 4 * 4 * model.count_params()}
    first = lcb.LayerConvergence(backup=tmp_path, **options)
    x, y = np.ones((4, 6), "float32"), np.ones((4, 2), "float32")

    def batches():
        for _ in range(6):
            yield x, y

    with pytest.warns(UserWarning, match="4 exact records fill the budget"):
        model.fit(batches(), verbose=0, callbacks=[first])
    second = lcb.LayerConvergence(backup=tmp_path, **options)
    second.set_model(model)
    second.on_train_begin()
    second.on_epoch_begin(1)
    run = second.results
    np.testing.assert_array_equal(run.distance, first.results.distance)
    np.testing.assert_array_equal(run.angle, first.results.angle)
    assert (run.distance_standard_error[0] > 0).any()


def test_a_record_that_ends_elsewhere_is_moved_aside_and_begun_anew(tmp_path):
    copies_of_the_run(compiled(dense("a", "b")), tmp_path)
    other = compiled(dense("a", "b"))
    other.set_weights([weights + 0.1 for weights in other.get_weights()])
    for name in ("LayerConvergence_1", "LayerConvergence_2"):
        convergence = lcb.LayerConvergence(backup=tmp_path)
        with pytest.warns(UserWarning, match=f"does not end at the weights.*moved to '.*{name}'"):
            train(other, convergence, epochs=1)
        assert convergence.results.step.values.tolist() == [0, 2]
        assert steps_in(tmp_path / "LayerConvergence") == [0, 2]
        other = compiled(other)  # at update 0, but with other weights
    assert steps_in(tmp_path / "LayerConvergence_1") == [0, 2, 4, 6]


def test_reset_empties_the_folder(tmp_path):
    model = compiled(dense("a", "b"))
    convergence, _ = copies_of_the_run(model, tmp_path)
    convergence.reset()
    assert steps_in(tmp_path / "LayerConvergence") == []
    train(model, convergence, epochs=1)
    assert convergence.results.step.values.tolist() == [0, 2]


def test_the_record_of_another_network_or_of_other_settings_is_refused(tmp_path):
    copies_of_the_run(compiled(dense("a", "b")), tmp_path)
    with pytest.raises(ValueError, match="holds the records of another run.*Choose another"):
        train(compiled(dense("a", "c")), lcb.LayerConvergence(backup=tmp_path))
    with pytest.raises(ValueError, match="holds the records of another run"):
        train(compiled(dense("a", "b")), lcb.LayerConvergence(every=3, backup=tmp_path))
    weights = compiled(dense("a", "b")).get_weights()
    with pytest.raises(ValueError, match="holds the records of another run"):
        train(compiled(dense("a", "b")), lcb.LayerConvergence(reference=weights, backup=tmp_path))


def test_damaged_files_are_named_and_can_be_done_without(tmp_path):
    model = compiled(dense("a", "b"))
    copies_of_the_run(model, tmp_path)
    folder = tmp_path / "LayerConvergence"
    fresh = tmp_path / "fresh"
    damaged = folder / "000000000004.npz"
    for content in (b"", b"no archive", damaged.read_bytes()[:-40]):
        damaged.write_bytes(content)
        with pytest.raises(ValueError, match="000004.npz' is damaged .* Delete that file to go"):
            train(model, lcb.LayerConvergence(backup=tmp_path), epochs=1)
    damaged.unlink()
    shutil.copytree(folder, fresh / "LayerConvergence")
    convergence = lcb.LayerConvergence(backup=tmp_path)
    train(model, convergence, epochs=1)
    assert convergence.results.step.values.tolist() == [0, 2, 6, 8]

    first = fresh / "LayerConvergence" / "000000000000.npz"
    first.write_bytes(b"")
    with pytest.raises(ValueError, match="000000.npz' is damaged .* Delete the folder to start"):
        train(model, lcb.LayerConvergence(backup=fresh), epochs=1)
    (fresh / "LayerConvergence" / "settings.json").write_text('{"run": ')
    with pytest.raises(ValueError, match="settings.json' is damaged .* Delete the folder"):
        train(model, lcb.LayerConvergence(backup=fresh), epochs=1)
    shutil.rmtree(fresh)
    train(model, lcb.LayerConvergence(backup=fresh), epochs=1)
    assert steps_in(fresh / "LayerConvergence") == [0, 2]


def test_a_folder_that_cannot_be_written_is_refused_before_training(tmp_path):
    model = compiled(dense("a", "b"))
    weights = model.get_weights()
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(OSError, match="a file is in its place. Choose another `backup`"):
        train(model, lcb.LayerConvergence(backup=tmp_path / "file"))
    for now, before in zip(model.get_weights(), weights, strict=True):
        np.testing.assert_array_equal(now, before)


def full(*arguments):
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_on_a_full_disk_training_goes_on_and_what_is_missing_is_written_later(
    tmp_path, monkeypatch
):
    model = compiled(dense("a", "b"))
    convergence = lcb.LayerConvergence(backup=tmp_path)
    seen = []

    def fill_the_disk(epoch, logs):
        if epoch == 1:
            monkeypatch.setattr(os, "fsync", full)
        if epoch == 3:
            monkeypatch.undo()
        seen.append(steps_in(tmp_path / "LayerConvergence"))

    filling = keras.callbacks.LambdaCallback(on_epoch_begin=fill_the_disk)
    with pytest.warns(UserWarning, match="no space left.*training goes on with the rec") as warned:
        train(model, convergence, filling, epochs=4)
    assert sum("backup folder" in str(each.message) for each in warned) == 1
    assert convergence.results.step.values.tolist() == [0, 2, 4, 6, 8]
    assert seen[3] == [0, 2]  # nothing was written meanwhile
    assert steps_in(tmp_path / "LayerConvergence") == [0, 2, 4, 6, 8]
    assert not list(tmp_path.rglob("*.tmp"))
    second = lcb.LayerConvergence(backup=tmp_path)
    train(model, second, epochs=1)
    assert second.results.step.values.tolist() == [0, 2, 4, 6, 8, 10]


def test_in_a_folder_that_is_read_only_nothing_of_another_run_is_mixed_in(tmp_path, monkeypatch):
    """An old record that could not be moved aside is, before a new one is written."""
    copies_of_the_run(compiled(dense("a", "b")), tmp_path)
    other = compiled(dense("a", "b"))
    other.set_weights([weights + 0.1 for weights in other.get_weights()])
    convergence = lcb.LayerConvergence(backup=tmp_path)

    def refuse(*arguments, **options):
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    for name in ("rename", "mkdir"):
        monkeypatch.setattr(pathlib.Path, name, refuse)
    with pytest.warns(UserWarning, match="read-only file system.*training goes on"):
        train(other, convergence, epochs=1)
    assert convergence.results.step.values.tolist() == [0, 2]
    assert steps_in(tmp_path / "LayerConvergence") == [0, 2, 4, 6]  # still those of the first run
    monkeypatch.undo()
    train(other, convergence, epochs=1)
    assert steps_in(tmp_path / "LayerConvergence") == [0, 2, 4]
    assert steps_in(tmp_path / "LayerConvergence_1") == [0, 2, 4, 6]
    assert convergence.results.step.values.tolist() == [0, 2, 4]


def test_a_training_killed_after_its_last_epoch_still_has_its_record(tmp_path):
    model = compiled(dense("a", "b"))
    first, _ = copies_of_the_run(model, tmp_path)
    second = lcb.LayerConvergence(backup=tmp_path)
    train(model, second, epochs=3, initial_epoch=3)
    np.testing.assert_array_equal(second.results.distance, first.results.distance)
    assert second.results.attrs["provisional"] == 0


def test_several_owners_share_a_folder(tmp_path):
    one, other = Backup(tmp_path, "One"), Backup(tmp_path, "Other")
    for backup in (one, other):
        assert backup.count({"every": 2}) is None
        backup.settle({"every": 2}, {"origin": 3, "base": 1})
        backup.append(5, {"step": 5, "norms": np.arange(3.0)})
        backup.append(7, {"step": 7, "norms": np.arange(3.0)})
    one.clear()
    assert one.records(until=9) == []
    assert other.count({"every": 2}) == {"origin": 3, "base": 1}
    (record,) = other.records(until=6)
    assert record["step"] == 5 and isinstance(record["step"], int)
    np.testing.assert_array_equal(record["norms"], np.arange(3.0))
