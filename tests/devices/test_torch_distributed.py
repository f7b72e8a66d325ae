"""torch's `DistributedDataParallel`, in two processes, as Keras documents it."""

from __future__ import annotations

import numpy as np
import pytest

from tests.devices.program import assert_same_run, free_ports, results, start

# A process takes seconds to start, so the same two train several times.
PARALLEL = """
rank, folder, ports = int(sys.argv[1]), sys.argv[2], sys.argv[3:]
import torch
import keras
import keras_lcb as lcb

torch.set_num_threads(1)
os.environ["MASTER_ADDR"] = "127.0.0.1"
BACKUPS = {"all": os.path.join(folder, str(rank)), "killed": folder}


def train(recording, size):
    model = build()
    parallel = torch.nn.parallel.DistributedDataParallel(model)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05)
    backup = BACKUPS.get(recording)
    callbacks = [
        lcb.LayerConvergence(backup=backup), lcb.GradientNorms(per_update=True, backup=backup)
    ]
    try:
        with lcb.track(model, *callbacks, optimizer=optimizer) as tracker:
            for epoch in range(2):
                for start in range(0, 64, 16):
                    if recording == "killed" and rank == 1 and epoch == 1 and start == 16:
                        os._exit(9)
                    own = slice(start + rank * 16 // size, start + (rank + 1) * 16 // size)
                    optimizer.zero_grad()
                    loss = ((parallel(torch.tensor(X[own])) - torch.tensor(Y[own])) ** 2).mean()
                    loss.backward()
                    optimizer.step()
                if recording != "the first" or rank == 0:
                    tracker.record(loss=loss.item())
    except RuntimeError as error:
        lcb.save_run(lcb.collect(*callbacks), os.path.join(folder, "run.nc"))
        saved = lcb.load_run(os.path.join(folder, "run.nc"))
        return {"lost": str(error)[:200], "step": saved.step.values.tolist()}
    try:
        layerwise = build(lcb.LayerwiseModel)
        layerwise.compile("sgd", "mse")
        layerwise.fit(X, Y, verbose=0)
        refused = ""
    except ValueError as error:
        refused = str(error)
    written = sorted(os.listdir(backup)) if backup else []
    return {"run": told(*callbacks), "refused": refused, "written": written}


found = {}
for recording, port in zip(["alone", "all", "the first", "killed"], ports):
    size = 1 if recording == "alone" else 2
    if rank < size:
        os.environ["MASTER_PORT"] = port
        torch.distributed.init_process_group("gloo", rank=rank, world_size=size)
        found[recording] = train(recording, size)
        if recording != "killed":
            torch.distributed.destroy_process_group()
        tell(**found)
os._exit(0)
"""


@pytest.fixture(scope="module")
def both(tmp_path_factory):
    """What the two processes told, and with which codes they ended."""
    folder = tmp_path_factory.mktemp("parallel")
    for rank in "01":
        (folder / rank).mkdir()
    ports = free_ports(4)
    processes = [start(PARALLEL, rank, folder, *ports, backend="torch") for rank in (0, 1)]
    return [results(process) for process in processes], [each.returncode for each in processes]


def test_two_processes_record_the_numbers_of_one(both):
    (first, second), _ = both
    assert first["alone"]["refused"] == ""
    for found in (first["all"], second["all"]):
        assert_same_run(found["run"], first["alone"]["run"])
        assert "torch.distributed" in found["refused"]
    assert first["all"]["written"] == ["GradientNorms", "LayerConvergence"]
    assert second["all"]["written"] == []  # only the first process writes


def test_one_process_records_and_the_other_does_not(both):
    first, second = (told["the first"]["run"] for told in both[0])
    assert first["step"] == [0, 4, 8]
    assert second["step"] == [0, 8]
    np.testing.assert_allclose(first["distance"][0], second["distance"][0], rtol=1e-5)


def test_a_killed_process_leaves_a_run_that_can_be_read(both):
    (first, second), codes = both
    assert codes == [0, 9] and "killed" not in second
    assert first["killed"]["lost"]
    assert first["killed"]["step"][:2] == [0, 4]
