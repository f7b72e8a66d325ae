"""Saved runs come back exactly, survive kills and full disks, and foreign files are refused."""

import errno
import os
import stat
import subprocess
import sys

import h5py
import hypothesis.extra.numpy as hnp
import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st

from keras_lcb.runs import schema, trial
from keras_lcb.runs.atomic import write_atomically
from keras_lcb.runs.storage import load_run, save_run


@pytest.fixture
def saved(run_factory, tmp_path):
    run = run_factory()
    save_run(run, tmp_path / "run.nc")
    return run, tmp_path / "run.nc"


def same(one, other):
    xr.testing.assert_identical(one, other)
    for name in one.variables:
        assert one[name].dtype == other[name].dtype, name
    assert {k: type(v) for k, v in one.attrs.items()} == {
        k: type(v) for k, v in other.attrs.items()
    }
    return True


def test_round_trip_is_exact(run_factory, tmp_path):
    run = run_factory(
        layers=["block1/conv", "größe", "fc"],
        attrs={
            "missing": {"angle/fc": "it has no kernel"},
            "first_nonfinite_update": -1,
            "provisional": True,
            "settings": {"LayerConvergence": {"layers": None, "on_device": False}},
        },
    )
    save_run(run, tmp_path / "run.nc")
    assert same(load_run(tmp_path / "run.nc"), run)


# Old releases of torch switch off the smallest numbers of the whole process when they compile.
ALL_NUMBERS = st.deferred(
    lambda: st.floats(allow_subnormal=bool(np.float64(5e-324) * np.float64(1) > 0))
)


@settings(max_examples=40)
@given(
    values=hnp.arrays(
        np.float64, st.tuples(st.integers(0, 4), st.integers(1, 4)), elements=ALL_NUMBERS
    ),
    data=st.data(),
)
def test_any_numbers_and_names_come_back(values, data, tmp_path_factory):
    steps, layers = values.shape
    names = data.draw(
        st.lists(
            st.text(st.characters(exclude_characters="\0", codec="utf-8"), min_size=1),
            min_size=layers,
            max_size=layers,
            unique=True,
        )
    )
    numbers = st.lists(st.integers(0, 2**63 - 1), min_size=steps, max_size=steps, unique=True)
    run = schema.dataset(
        {"distance": (("step", "layer"), values)},
        {"step": data.draw(numbers), "layer": names},
    )
    path = tmp_path_factory.mktemp("run") / "run.nc"
    save_run(run, path)
    assert same(load_run(path), run)


def test_xarray_reads_the_file_by_itself(saved):
    run, path = saved
    with xr.open_dataset(path) as opened:
        xr.testing.assert_identical(opened.load(), run)


def test_a_run_is_saved_over_the_file_it_came_from(saved):
    run, path = saved
    again = load_run(path)
    again["distance"] = again.distance * 2
    save_run(again, path)
    np.testing.assert_array_equal(load_run(path).distance, run.distance * 2)
    with xr.open_dataset(path) as lazy:  # still open, and not yet read
        save_run(lazy, path)
    np.testing.assert_array_equal(load_run(path).distance, run.distance * 2)


def test_the_file_is_closed_after_loading(saved, tmp_path):
    _, path = saved
    run = load_run(path)
    open_files = [os.path.realpath(f"/proc/self/fd/{n}") for n in os.listdir("/proc/self/fd")]
    assert str(path) not in open_files
    path.unlink()
    assert run.distance.values.shape


def test_a_link_keeps_pointing_to_the_run(saved, tmp_path):
    run, path = saved
    (tmp_path / "latest.nc").symlink_to(path)
    save_run(run.assign(loss=run.loss * 0), tmp_path / "latest.nc")
    assert (tmp_path / "latest.nc").is_symlink()
    assert load_run(path).loss[1] == 0


KILLS = """
import os, random, signal, sys, time, types
tests, package = {path!r}
sys.path.insert(0, tests)
sys.modules["keras_lcb"] = types.ModuleType("keras_lcb")  # its parts only, without Keras
sys.modules["keras_lcb"].__path__ = [package]
import xarray as xr
from conftest import make_run
from keras_lcb.runs.storage import load_run, save_run

file, rng = sys.argv[1], random.Random(0)
runs = [make_run(steps=range(10_000), attrs=dict(seed=n)) for n in (0, 1)]
contents = [run.to_netcdf(engine="h5netcdf") for run in runs]
save_run(runs[0], file)
found = [0, 0]
for _ in range(30):
    started, saving = os.pipe()
    child = os.fork()
    if child == 0:  # spend the time on writing, not on encoding
        xr.Dataset.to_netcdf = lambda run, engine: contents[run.attrs["seed"]]
        while True:
            for run in reversed(runs):
                os.write(saving, b".")
                save_run(run, file)
    for _ in range(rng.randint(1, 4)):
        os.read(started, 1)
    time.sleep(rng.uniform(0.0, 0.005))
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    os.close(started), os.close(saving)
    run = load_run(file)
    assert run.identical(runs[run.attrs["seed"]])
    found[run.attrs["seed"]] += 1
print(*found)
"""


@pytest.mark.skipif(
    not hasattr(os, "fork"), reason="this system has no fork, by which a writer is killed midway"
)
def test_a_killed_writer_leaves_the_old_run_or_the_new_one(tmp_path, request):
    root = request.config.rootpath
    script = KILLS.format(path=(str(root / "tests"), str(root / "keras_lcb")))
    result = subprocess.run(
        [sys.executable, "-c", script, tmp_path / "run.nc"], capture_output=True, text=True
    )
    assert result.returncode == 0, result.stderr
    old, new = map(int, result.stdout.split())
    assert old + new == 30 and old and new
    assert all(name.startswith(".run.nc.") for name in os.listdir(tmp_path) if name != "run.nc")


@pytest.mark.skipif(sys.platform == "win32", reason="needs resource limits")
def test_a_disk_that_takes_no_more(tmp_path):
    import resource

    path = tmp_path / "run.nc"
    path.write_bytes(b"old")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, hard))
    try:
        with pytest.raises(OSError) as caught:
            write_atomically(path, b"x" * 100_000)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert f"'{path}' could not be written: file too large." in str(caught.value)
    assert path.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["run.nc"]


def test_a_full_disk_met_at_the_last_moment(saved, monkeypatch, tmp_path):
    run, path = saved
    before = path.read_bytes()

    def full(descriptor):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match=r"run\.nc' could not be written: no space left") as caught:
        save_run(run.isel(step=[0]), path)
    assert caught.value.errno == errno.ENOSPC
    assert path.read_bytes() == before
    assert os.listdir(tmp_path) == ["run.nc"]


def test_folders_that_are_missing_or_in_the_way(saved, tmp_path):
    run, path = saved
    with pytest.raises(FileNotFoundError, match="none/run.nc.*folder does not exist"):
        save_run(run, tmp_path / "none" / "run.nc")
    (tmp_path / "taken").mkdir()
    with pytest.raises(OSError, match="taken' could not be written: is a directory. Give the name"):
        save_run(run, tmp_path / "taken")
    assert sorted(os.listdir(tmp_path)) == ["run.nc", "taken"]


def test_what_is_no_run_is_not_saved(run_factory, tmp_path):
    for wrong in (None, {}, xr.Dataset({"t2m": ("time", [1.0])}), run_factory().distance):
        with pytest.raises(ValueError, match="[Ee]xpect.* a run"):
            save_run(wrong, tmp_path / "run.nc")
    with pytest.raises(ValueError, match="something that a netCDF file cannot"):
        save_run(run_factory().assign_attrs(note=None), tmp_path / "run.nc")
    assert not os.listdir(tmp_path)


def test_what_killed_writers_left_behind_goes(tmp_path):
    old, new = tmp_path / ".a[1].nc.0.tmp", tmp_path / ".a[1].nc.1.tmp"
    for path in (old, new):
        path.write_bytes(b"part")
    os.utime(old, (0, 0))
    write_atomically(tmp_path / "a[1].nc", b"whole")
    assert sorted(os.listdir(tmp_path)) == [".a[1].nc.1.tmp", "a[1].nc"]


def test_a_folder_that_cannot_be_synced_does_not_matter(tmp_path, monkeypatch):
    sync = os.fsync

    def only_files(descriptor):  # as some network drives
        if stat.S_ISDIR(os.fstat(descriptor).st_mode):
            raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))
        sync(descriptor)

    monkeypatch.setattr(os, "fsync", only_files)
    for content in (b"old", b"new"):
        write_atomically(tmp_path / "one", content)
        assert (tmp_path / "one").read_bytes() == content
    assert os.listdir(tmp_path) == ["one"]


def test_a_file_written_atomically_has_ordinary_permissions(tmp_path):
    write_atomically(tmp_path / "one", b"")
    (tmp_path / "other").write_bytes(b"")
    assert (tmp_path / "one").stat().st_mode == (tmp_path / "other").stat().st_mode


def test_nothing_there(tmp_path):
    with pytest.raises(FileNotFoundError, match="There is no file '.*none.nc'"):
        load_run(tmp_path / "none.nc")
    with pytest.raises(ValueError, match="is not a file"):
        load_run(tmp_path)


@pytest.mark.parametrize("content", [b"", b"hello", b"CDF\x01" + bytes(100), b"PK\x03\x04"])
def test_what_is_no_netcdf(tmp_path, content):
    (tmp_path / "run.nc").write_bytes(content)
    with pytest.raises(ValueError, match="not a netCDF-4 file"):
        load_run(tmp_path / "run.nc")


def test_foreign_netcdf(tmp_path):
    xr.Dataset({"t2m": ("time", [1.0])}).to_netcdf(tmp_path / "w.nc", engine="h5netcdf")
    with pytest.raises(ValueError, match="does not hold a run"):
        load_run(tmp_path / "w.nc")


def test_a_newer_schema(run_factory, tmp_path):
    save_run(run_factory().assign_attrs(schema_version=2), tmp_path / "run.nc")
    with pytest.raises(ValueError, match="version 2 of the run's schema"):
        load_run(tmp_path / "run.nc")


def test_a_version_that_is_no_number(run_factory, tmp_path):
    save_run(run_factory().assign_attrs(schema_version=[1.0, 2.0]), tmp_path / "run.nc")
    with pytest.raises(ValueError, match="run.nc' was written with version"):
        load_run(tmp_path / "run.nc")


def test_a_file_that_was_cut_short(saved):
    _, path = saved
    content = path.read_bytes()
    for length in range(8, len(content) - 1, len(content) // 40):
        path.write_bytes(content[:length])
        with pytest.raises(ValueError, match="damaged"):
            load_run(path)


@given(data=st.data())
@settings(max_examples=40)
def test_any_changed_byte_is_noticed(tmp_path_factory, data):
    path = tmp_path_factory.mktemp("run") / "run.nc"
    run = schema.dataset({"loss": (("step",), [1.0, 0.5])}, {"step": [0, 10]})
    save_run(run, path)
    content = bytearray(path.read_bytes())
    place = data.draw(st.integers(0, len(content) - 1))
    content[place] ^= data.draw(st.integers(1, 255))
    path.write_bytes(content)
    with pytest.raises(ValueError, match="damaged|not a netCDF-4"):
        load_run(path)


def test_a_file_that_has_lost_its_checksum_is_damaged(saved):
    run, path = saved
    content = path.read_bytes()
    for damaged in (content[:-48], content[:-100] + bytes(100), content + b"more"):
        path.write_bytes(damaged)
        with pytest.raises(ValueError, match="damaged"):
            load_run(path)
    run.to_netcdf(path, engine="h5netcdf")  # written by another program, and so without one
    xr.testing.assert_identical(load_run(path), run)


@pytest.mark.skipif(sys.platform == "win32", reason="needs signals")
def test_how_a_crash_is_told(saved, monkeypatch):
    run, path = saved
    run.to_netcdf(path, engine="h5netcdf")
    monkeypatch.setattr(trial, "_PROGRAM", "import os; os.abort()")
    with pytest.raises(ValueError, match="run.nc' is damaged or cut short: HDF5 crashes on it"):
        load_run(path)
    monkeypatch.setattr(trial, "_PROGRAM", "import time; time.sleep(60)")
    monkeypatch.setattr(trial, "_SECONDS", 0.2)
    with pytest.raises(ValueError, match="longer than 0 seconds"):
        load_run(path)


def soft_link(file, folder):
    file["loss"] = h5py.SoftLink("/distance")


def external_link(file, folder):
    with h5py.File(folder / "secret.h5", "w") as other:
        other["values"] = np.arange(3.0)
    file["loss"] = h5py.ExternalLink(str(folder / "secret.h5"), "values")


def external_storage(file, folder):
    (folder / "secret.bin").write_bytes(bytes(24))
    file.create_dataset("loss", (3,), "f8", external=[(str(folder / "secret.bin"), 0, 24)])


def virtual_dataset(file, folder):
    layout = h5py.VirtualLayout((3,), "f8")
    layout[:] = h5py.VirtualSource(str(folder / "secret.h5"), "values", shape=(3,))
    file.create_virtual_dataset("loss", layout)


def group(file, folder):
    file.create_group("more")["self"] = file["/"]


def named_type(file, folder):
    file["loss"] = np.dtype("f8")


def huge_fill_value(file, folder):
    file.create_dataset("loss", (10**10,), "f8", chunks=(1000,), fillvalue=1.0)


def huge_chunk(file, folder):
    file.create_dataset("loss", (1,), "f8", chunks=(4 * 10**8,), maxshape=(None,))


def many_small(file, folder):
    for number in range(5):
        file.create_dataset(f"v{number}", (10**8,), "i1", chunks=(1000,))


def compressed(file, folder):
    file.create_dataset("loss", data=np.zeros(1000), compression="gzip")


def objects(file, folder):
    file.create_dataset("loss", data=np.zeros(3, [("a", "f8"), ("b", "f8")]))


def texts_that_share_one_long_text(file, folder):
    """Many entries that point to one heap object: the file stays small, memory would not."""
    file.create_dataset("loss", (1 << 18,), h5py.string_dtype(), fillvalue=b"x" * 60_000)


def long_text_in_an_attribute(file, folder):
    file.attrs.create("notes", ["x" * 100] * 50, dtype=h5py.string_dtype())


REFUSED = {
    soft_link: "the link 'loss'",
    external_link: "the link 'loss'",
    external_storage: "'loss' in other files",
    virtual_dataset: "'loss' in other files",
    group: "the group 'more'",
    named_type: "the datatype 'loss'",
    huge_fill_value: "declares more data than",
    huge_chunk: "declares more data than",
    many_small: "declares more data than",
    compressed: "'loss' in compressed",
    objects: "'loss' as ",
    texts_that_share_one_long_text: "declares more data than",
    long_text_in_an_attribute: "50 texts in the attribute 'notes'",
}


@pytest.mark.parametrize("trick", REFUSED, ids=lambda trick: trick.__name__)
def test_files_from_strangers(run_factory, tmp_path, trick, monkeypatch):
    path = tmp_path / "run.nc"
    run_factory()[["distance"]].to_netcdf(path, engine="h5netcdf")
    with h5py.File(path, "r+") as file:
        trick(file, tmp_path)
    assert path.stat().st_size < 5e5
    # Read in this process, which spares a second.
    monkeypatch.setattr(trial, "written_anew", lambda content, max_bytes: (content, None))
    monkeypatch.setattr(xr, "open_dataset", lambda *a, **k: pytest.fail("xarray opened it"))
    with pytest.raises(ValueError, match=REFUSED[trick]):
        load_run(path)


def test_another_process_refuses_them_too(run_factory, tmp_path):
    path = tmp_path / "run.nc"
    run_factory()[["distance"]].to_netcdf(path, engine="h5netcdf")
    with h5py.File(path, "r+") as file:
        external_link(file, tmp_path)
    with pytest.raises(ValueError, match="run.nc' holds the link 'loss'.* If you trust it"):
        load_run(path)


def test_the_bound_is_on_what_the_run_needs(saved):
    run, path = saved
    size = path.stat().st_size
    same(load_run(path, max_bytes=size), run)
    with pytest.raises(ValueError, match=f"{size:,} bytes, more than `max_bytes`, {size - 1:,}"):
        load_run(path, max_bytes=size - 1)


@pytest.mark.parametrize(
    "spoil",
    [
        lambda run: run.assign_attrs(note=True),
        lambda run: run.stack(both=("step", "layer")),
        lambda run: run.assign(wave=("step", np.ones(run.sizes["step"]) * 1j)),
    ],
    ids=["truth", "several indices", "complex"],
)
def test_what_a_file_cannot_hold_is_refused_before_it_is_written(spoil, run_factory, tmp_path):
    with pytest.raises(ValueError, match="cannot store"):
        save_run(spoil(run_factory()), tmp_path / "run.nc")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("received", [None, 3, xr.Dataset()], ids=["none", "number", "run"])
def test_what_is_no_path_is_refused(received):
    with pytest.raises(ValueError, match="expects the path of a file"):
        load_run(received)
