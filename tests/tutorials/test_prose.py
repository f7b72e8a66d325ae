"""What tutorials and model answers say of runs, against what the stored notebooks show."""

from __future__ import annotations

import re
from pathlib import Path

import nbformat
import numpy as np
import pytest
from matplotlib import pyplot as plt

from keras_lcb.exercises.explaining import explain

FOLDER = Path(__file__).parents[2] / "tutorials"


def stored(beginning: str) -> nbformat.NotebookNode:
    (path,) = FOLDER.glob(f"{beginning}_*.ipynb")
    return nbformat.read(path, as_version=4)


def said_in(beginning: str) -> str:
    """Everything that a notebook, as it is stored, has printed and shown as text."""
    outputs = [output for cell in stored(beginning).cells for output in cell.get("outputs", [])]
    return "\n".join(o.get("text", "") + o.get("data", {}).get("text/plain", "") for o in outputs)


def prose_of(beginning: str) -> str:
    """The prose of a notebook, in one line."""
    cells = stored(beginning).cells
    return " ".join(" ".join(c.source for c in cells if c.cell_type == "markdown").split())


def model(name: str) -> str:
    return explain(name, "a sentence of some words").model


def updates(text: str, said: str) -> list[int]:
    return [int(found.replace(",", "")) for found in re.findall(text + r" ([\d,]+)", said)]


def test_01_all_seeds_agree_about_the_first_and_the_last_but_not_about_the_order():
    said = said_in("01")
    times = updates(r"layer_\d is half-way at update", said)
    assert times[0] == min(times) and times[-1] == max(times)
    assert max(times) - min(times) < 2000 / 20, "small beside the whole run"
    ahead, seeds = re.search(r"before layer_4 in (\d) of (\d) seeds", said).groups()
    assert ahead == seeds == "3" and "still ahead of the last" in model("01.b")
    orders = re.findall(r"from first to last: (.+)", said)
    assert len(orders) == 3 and len(set(orders)) > 1 and "change places" in model("01.b")


def test_02_the_network_of_noise_is_worse_than_answering_nothing():
    said = said_in("02")
    assert float(re.search(r"fresh noise the error is ([\d.]+)", said)[1]) > 1.1
    assert "worse than always answering 0" in model("02.c")
    # Who is ahead in the first window is behind in all others.
    rows = re.findall(r"updates +[\d,]+ to +[\d,]+: (.+)", said)
    first, *others = np.array([row.split() for row in rows], float)
    assert all(np.corrcoef(first, other)[0, 1] < 0 for other in others)


def test_03_two_layers_on_paper_are_what_gradient_descent_finds():
    (cell,) = [c.source for c in stored("03").cells if "def half_way_on_paper" in c.source]
    named = {"np": np, "plt": plt}
    exec(cell.split("figure, panels")[0], named)
    for a, b, s in [(1.0, 0.25, 3.5), (2.0, 0.1, 1.0), (0.5, 0.4, 7.0), (1.0, 0.99, 3.5)]:
        found, end = descended(a, b, s)
        assert named["half_way_on_paper"](a, b, s) == pytest.approx(found, abs=3e-4)
        assert end[0] ** 2 - end[1] ** 2 == pytest.approx(a**2 - b**2, rel=1e-3)
        assert found[1] < found[0], "the smaller one is first"
        assert descended(b, a, s)[0] == found[::-1], "wherever it stands"
    assert descended(1.0, 0.25, 3.5)[1] == pytest.approx((2, 1.75), abs=1e-3)
    assert "there *a* = 2" in prose_of("03")


def descended(a: float, b: float, s: float, rate: float = 1e-4) -> tuple[tuple, tuple]:
    """When a and b are half-way under gradient descent on (ab - s)^2 / 2, and where they end."""
    path = [(a, b)]
    while s - a * b > 1e-6:
        missing = s - a * b
        a, b = a + rate * missing * b, b + rate * missing * a
        path.append((a, b))
    path = np.array(path)
    half = (path[0] + path[-1]) / 2
    return tuple(rate * float(n) for n in (path < half).sum(axis=0)), (a, b)


def test_03_larger_gradients_were_slower_in_each_seed():
    (row,) = re.findall(r"seed by seed:\n(.+)", said_in("03"))
    assert len(row.split()) == 3 and all(float(value) < 0 for value in row.split())
    assert "the slower ones" in model("03.c")


def test_04_the_claim_holds_early_and_is_reversed_later():
    said = said_in("04")
    assert "Curvature grows with depth: after 40 updates.\n" in said
    for stage in ("400", "2,000"):
        row, *_ = re.findall(rf"after {stage} updates +(-?[\d.]+) +(-?[\d.]+)(?: |$)", said, re.M)
        assert float(row[1]) < -0.5, "the deep layers are the flatter ones"
    assert "after 400 and 2,000 updates the order is reversed" in model("04.a").lower()


def test_04_stable_rates_are_far_from_theory_early_only():
    ratios = re.findall(r"after ([\d,]+) updates: .* from ([\d.]+) to ([\d.]+)", said_in("04"))
    (_, low, high), *later = ratios
    assert float(low) < 0.3 and 1.4 < float(high) < 1.6
    assert "between a quarter of 2/λ and one and a half times 2/λ" in prose_of("04")
    assert all(0.9 < float(low) <= float(high) < 1.1 for _, low, high in later) and len(later) == 2
    assert "Later the ratio is close to 1." in prose_of("04")


def test_05_low_notes_come_first_also_at_equal_loudness():
    said = said_in("05")
    times = updates("the error is below one half from update", said)
    assert len(times) == 6 and "wave number 30: the error stays above one half" in said
    assert times[:3] == sorted(times[:3]) and times[3:] == sorted(times[3:])
    assert max(times[:2]) < 100 and times[2] > 1000, "1 and 3 at once, 10 much later"
    assert "every 100 updates" in prose_of("05")
    assert times[3] < 100 < times[4] - 100, "note 3 is later by a clear distance"
    assert "a clear distance" in model("05.c")


def test_05_a_straight_line_leaks():
    line, sine = re.findall(r"mean wave number by energy ([\d.]+)", said_in("05"))
    assert float(line) > float(sine) and "a higher mean wave number" in prose_of("05")


def test_06_distance_and_angle_agree_about_the_reversal():
    by = r"last / first layer by distance ([\d.]+) \[.*\], by angle ([\d.]+)"
    plain, normalized = [tuple(map(float, found)) for found in re.findall(by, said_in("06"))]
    assert min(plain) > 1 > max(normalized)
    assert "both give the same order" in model("06.c")
    assert "the order of the layers is reversed" in prose_of("06")
