"""torch's `DistributedDataParallel`, in two processes, as Keras documents it."""

from __future__ import annotations

import numpy as np

from tests.devices.program import assert_same_run, free_ports, results, run, start

PARALLEL = """
rank, size, port, recording, folder = int(sys.argv[1]), int(sys.argv[2]), *sys.argv[3:6]
import torch
import keras
import keras_lcb as lcb

os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
torch.set_num_threads(1)
torch.distributed.init_process_group("gloo", rank=rank, world_size=size)
model = build()
parallel = torch.nn.parallel.DistributedDataParallel(model)
optimizer = torch.optim.SGD(model.parameters(), lr=0.05)
backup = folder if folder != "none" else None
callbacks = [lcb.LayerConvergence(backup=backup), lcb.GradientNorms(per_update=True, backup=backup)]
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
    tell(lost=str(error)[:200], step=saved.step.values.tolist())
    os._exit(0)

try:
    layerwise = build(lcb.LayerwiseModel)
    layerwise.compile("sgd", "mse")
    layerwise.fit(X, Y, verbose=0)
    refused = ""
except ValueError as error:
    refused = str(error)
written = sorted(os.listdir(folder)) if backup else []
tell(run=told(*callbacks), refused=refused, written=written)
"""


def both(recording, folders):
    (port,) = free_ports(1)
    return [
        start(PARALLEL, rank, 2, port, recording, folder, backend="torch")
        for rank, folder in enumerate(folders)
    ]


def test_two_processes_record_the_numbers_of_one(tmp_path):
    alone = run(PARALLEL, 0, 1, free_ports(1)[0], "all", "none", backend="torch")
    assert alone["refused"] == ""
    folders = [tmp_path / "0", tmp_path / "1"]
    for folder in folders:
        folder.mkdir()
    first, second = (results(process) for process in both("all", folders))
    for found in (first, second):
        assert_same_run(found["run"], alone["run"])
        assert "torch.distributed" in found["refused"]
    assert first["written"] == ["GradientNorms", "LayerConvergence"]
    assert second["written"] == []  # only the first process writes


def test_one_process_records_and_the_other_does_not():
    first, second = (results(process) for process in both("the first", ["none", "none"]))
    assert first["run"]["step"] == [0, 4, 8]
    assert second["run"]["step"] == [0, 8]
    np.testing.assert_allclose(first["run"]["distance"][0], second["run"]["distance"][0], rtol=1e-5)


def test_a_killed_process_leaves_a_run_that_can_be_read(tmp_path):
    first, second = both("killed", [tmp_path, tmp_path])
    told = results(first)
    assert second.wait(60) == 9
    assert told["lost"]
    assert told["step"][:2] == [0, 4]
