import pathlib
import re
import subprocess
import sys
import tomllib

import pytest

ROOT = pathlib.Path(__file__).parents[1]
CONTRACTS = {
    each["room"]: set(each["may_import"])
    for each in tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"][
        "contracts"
    ]
    if each["type"] == "room"
}


def test_the_table_in_architecture_says_what_the_contracts_say():
    text = (ROOT / "ARCHITECTURE.md").read_text()
    rows = re.findall(r"^\| `(?:keras_lcb/)?(\w+)(?:/|\.py)?` \|.*\| (.*) \|$", text, re.MULTILINE)
    table = {room: set(re.findall(r"`(\w+)`", allowed)) for room, allowed in rows}
    assert table == CONTRACTS


def test_every_room_has_a_contract():
    rooms = {
        path.stem
        for path in (ROOT / "keras_lcb").iterdir()
        if path.suffix == ".py" or (path / "__init__.py").exists()
    }
    assert rooms - {"__init__"} == set(CONTRACTS)


@pytest.mark.parametrize(
    "room, line, refused",
    [
        ("analysis", "import keras", "analysis may import"),
        ("plotting", "def late():\n    from keras_lcb.report import svg", "plotting may import"),
        ("runs", "import keras_lcb", "runs may import no other room"),
    ],
)
def test_a_forbidden_import_is_refused(room, line, refused, tmp_path):
    subprocess.run(["cp", "-r", ROOT / "keras_lcb", ROOT / "pyproject.toml", tmp_path], check=True)
    (tmp_path / "tests").mkdir()
    contract = (ROOT / "tests" / "room_contract.py").read_text()
    (tmp_path / "tests" / "room_contract.py").write_text(contract)
    (tmp_path / "keras_lcb" / room / "planted.py").write_text(f"{line}\n")
    found = subprocess.run(
        [pathlib.Path(sys.executable).with_name("lint-imports"), "--no-cache"],
        cwd=tmp_path,
        env={"PYTHONPATH": str(tmp_path), "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert found.returncode == 1, found.stdout + found.stderr
    assert refused in found.stdout and f"keras_lcb.{room}.planted" in found.stdout
