"""Compares the time for curvature with PyHessian, curvlinops and the plain cost of the products.

python -m benchmarks.curvature [--json FILE] [--rounds 3] [--samples 16] [--quick]
                               [--only plain normalized callback]
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import functools
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

# Keras chooses its backend when it is imported. So it is imported only after the options are read.
if TYPE_CHECKING:
    from keras_lcb.landscape import Objective
    from keras_lcb.training.layers import TrackedLayer

PARTS = ["plain", "normalized", "callback"]
OWN, PYHESSIAN, CURVLINOPS, TOLD, BARE = (
    "keras_lcb",
    "pyhessian",
    "curvlinops",
    "curvlinops*",
    "bare cost",
)


@dataclasses.dataclass(frozen=True)
class Work:
    """A quantity to measure.

    Attributes:
        title: What it is.
        each_round: The tools that measure it in each round.
        once: The tools that measure it in the first round only.
    """

    title: str
    each_round: tuple[str, ...]
    once: tuple[str, ...] = ()

    @property
    def tools(self) -> tuple[str, ...]:
        """Returns all tools that measure it."""
        return self.each_round + self.once


WORK = {
    "whole": Work("top eigenvalue of the whole", (OWN, PYHESSIAN, CURVLINOPS, TOLD, BARE)),
    "layers": Work("top eigenvalue of each layer", (OWN, PYHESSIAN, BARE), (CURVLINOPS,)),
    "traces": Work("traces of layers and whole", (), (OWN, PYHESSIAN, CURVLINOPS)),
}
TRACE_SAMPLES = 10
MOST_ITERATIONS = 200
AT_MOST = {
    ("whole", PYHESSIAN): 0.6,
    ("whole", CURVLINOPS): 0.4,
    ("whole", BARE): 1.3,
    ("layers", PYHESSIAN): 0.5,
    ("layers", BARE): 1.3,
}
CALLBACK_AT_MOST = 1.15
PROBES = 64

EXPLANATION = f"""\
Every tool works until the residual |Hv - av| / |a| of each eigenvalue is 0.001. `residual` is the
largest residual of any layer.
PyHessian does not compute residuals. It is stopped after the first product at which the residual is
small enough, at the latest after {MOST_ITERATIONS} products.
curvlinops means SciPy's `eigsh` with an operator of curvlinops. `eigsh` checks residuals for the
first time after 20 products. `curvlinops*` was told to check after as many products as keras_lcb
needed. Both rules favour the other tools, because a user does not know these numbers beforehand.
`bare cost` is the time of as many products as keras_lcb needed, each computed separately and for
one block. Ratios below 1 are possible, because the products of a search share the passes up to the
gradient.
Traces, and curvlinops on the layers, are measured in the first round only, because there is no
target for them. Traces are estimated with {TRACE_SAMPLES} random vectors. Their times include the
eigenvalues of the same blocks, which keras_lcb needs for the traces. `error` is the median relative
standard error. `products` counts the products for eigenvalues; only for the traces of keras_lcb, it
also counts those for the traces.
Ratios are medians over the rounds, with quartiles. Only times of the same round are compared. Each
round has its own order and random vectors. The times do not include compilation, which is needed
once for a network and a shape of the data. `compiling` is the additional time of a first search."""


def main(arguments: list[str] | None = None) -> None:
    options = _options(arguments)
    os.environ["KERAS_BACKEND"] = options.backend
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    from benchmarks import machine

    report: dict[str, Any] = {"machine": machine.describe(), "quick": options.quick}
    print(machine.sentence(report["machine"]))
    if options.quick:
        print("QUICK: tiny sizes, to show that the program runs; the numbers have no meaning")
    targets: list[dict[str, Any]] = []
    for part in options.only:
        if part == "callback":
            report[part] = _callback(options.rounds, options.quick)
        else:
            report[part] = _network(part, options)
        targets += report[part]["targets"]
        if options.json:  # saved after each part, in case a later part fails
            options.json.write_text(json.dumps(report, indent=1) + "\n")
    print(f"\n{EXPLANATION}\n\n" + "\n".join(map(_verdict, targets)))
    report["load_average_at_end"] = list(os.getloadavg())
    print("load average at the end " + ", ".join(f"{x:.1f}" for x in os.getloadavg()))
    if options.json:
        options.json.write_text(json.dumps(report, indent=1) + "\n")
        print(f"written: {options.json}")


def _options(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--backend",
        choices=["tensorflow", "jax", "torch"],
        default=os.environ.get("KERAS_BACKEND", "tensorflow"),
        help="default: KERAS_BACKEND, or tensorflow",
    )
    parser.add_argument("--json", type=pathlib.Path, metavar="FILE", help="write all numbers")
    parser.add_argument(
        "--rounds",
        type=int,
        default=3,
        help="interleaved rounds; the callback has ten times as many short ones (default: 3)",
    )
    parser.add_argument("--samples", type=int, default=16, help="number of images (default: 16)")
    parser.add_argument("--only", nargs="+", choices=PARTS, default=PARTS, help="default: all")
    parser.add_argument("--quick", action="store_true", help="tiny sizes, to show that it runs")
    return parser.parse_args(arguments)


# A network, measured with all tools in turn.


def _network(part: str, options: argparse.Namespace) -> dict[str, Any]:
    from benchmarks import resnet
    from keras_lcb.landscape import Objective

    blocks, width = (1, 2) if options.quick else (3, 16)
    samples = 4 if options.quick else options.samples
    model = resnet.keras_model(blocks, width, part == "normalized")
    objective = Objective(model, *resnet.data(samples), batch_size=samples)
    kind = "batch normalization in evaluation mode" if part == "normalized" else "no normalization"
    print(
        f"\n{'ResNet-20' if blocks == 3 else 'a tiny ResNet'}, {kind}, {model.count_params():,} "
        f"parameters in {len(objective.layers)} layers, {samples} images of 32x32, "
        f"{options.rounds} interleaved rounds"
    )
    iterations = 20 if options.quick else MOST_ITERATIONS
    with _peers(resnet.arrays(model), blocks, width, samples, iterations) as ask:
        _check_same(objective.loss(), ask(task="loss")["loss"])
        compiling, single = _compile(objective)
        rounds = _measured(objective, ask, options.rounds)
    table = {work: _table(rounds[work]) for work in WORK}
    _print_table(table, compiling, single, rounds)
    return {
        "samples": samples,
        "compiling_s": compiling,
        "one_product_s": single,
        "table": table,
        "rounds": rounds,
        "targets": _targets(part, table),
    }


def _measured(objective: Objective, ask: Callable[..., Any], count: int) -> dict[str, Any]:
    """Returns the results of each tool in each round. Prints a line after each measurement."""
    rounds: dict[str, dict[str, list[Any]]] = {
        work: {tool: [] for tool in WORK[work].tools} for work in WORK
    }
    order = np.random.default_rng(0)
    all_pairs = [(work, tool) for work in WORK for tool in WORK[work].tools]
    each_round = [(work, tool) for work in WORK for tool in WORK[work].each_round]
    took: dict[tuple[str, str], float] = {}
    for number in range(count):
        pairs = [pair for pair in all_pairs if number == 0 or pair in each_round]
        order.shuffle(pairs)
        # These two come last, because they need the number of products of keras_lcb.
        pairs.sort(key=lambda pair: pair[1] in (TOLD, BARE))
        found: dict[tuple[str, str], Any] = {}
        for done, (work, tool) in enumerate(pairs):
            began = time.perf_counter()
            needed = found[work, OWN]["products"] if tool in (TOLD, BARE) else {}
            result = _one(objective, ask, work, tool, needed, number)
            found[work, tool] = result
            took[work, tool] = time.perf_counter() - began
            left = ""
            if len(took) == len(all_pairs):
                again = sum(took[pair] for pair in each_round)
                rest = sum(took[pair] for pair in pairs[done + 1 :])
                left = f", about {rest + (count - number - 1) * again:.0f} s to go"
            print(
                f"round {number + 1} of {count}, {done + 1:2} of {len(pairs)}: "
                f"{WORK[work].title}, {tool} {result['seconds'][0]:.2f} s{left}",
                flush=True,
            )
        for (work, tool), result in found.items():
            if work == "traces" and tool != OWN:
                result = _with_traces(found["whole", tool], found["layers", tool], result)
            rounds[work][tool].append(result)
    return rounds


def _one(
    objective: Objective,
    ask: Callable[..., Any],
    work: str,
    tool: str,
    needed: dict[str, int],
    seed: int,
) -> dict[str, Any]:
    """Returns the results and the time of one tool."""
    if tool == OWN:
        return _own(objective, work, seed)
    if tool == BARE:
        return _bare(objective, work, needed)
    names = [row.name for row in _rows(objective, work)]
    if work == "traces":
        return ask(task=f"{tool}_traces", layers=names, samples=TRACE_SAMPLES, seed=seed)
    if tool == TOLD:
        return ask(task=CURVLINOPS, layers=names, look_after=needed, seed=seed)
    return ask(task=tool, layers=names, seed=seed)


def _with_traces(whole: Any, layers: Any, traces: Any) -> dict[str, Any]:
    """Returns the traces of a tool, with the time for its eigenvalues and traces together.

    The other tools compute eigenvalues and traces separately, so the times are added.
    """
    seconds = np.sum([part["seconds"] for part in (whole, layers, traces)], axis=0)
    together = {name: {**whole[name], **layers[name]} for name in ("residual", "products")}
    return {**traces, **together, "seconds": seconds.tolist()}


def _own(objective: Objective, work: str, seed: int) -> dict[str, Any]:
    """Returns the results and the time of keras_lcb."""
    from keras_lcb.landscape.blocks import Accuracy, measure

    rows = _rows(objective, work)
    accuracy = Accuracy(both_ends=False, dense_up_to=12)
    if work == "traces":
        accuracy = Accuracy(trace_samples=TRACE_SAMPLES)
    began = _now()
    found = measure(objective, rows, accuracy, seed=seed)
    seconds = _now() - began
    by_name = dict(zip([row.name for row in rows], found, strict=True))
    return {
        "seconds": seconds.tolist(),
        "eigenvalue": {n: float(b.spectrum.eigenvalues[0]) for n, b in by_name.items()},
        "residual": {n: float(b.spectrum.relative_residuals[0]) for n, b in by_name.items()},
        "products": {n: b.products for n, b in by_name.items()},
        "trace": {n: b.trace for n, b in by_name.items()},
        "trace_standard_error": {n: b.trace_standard_error for n, b in by_name.items()},
    }


def _rows(objective: Objective, work: str) -> list[TrackedLayer]:
    layers, whole = list(objective.layers), [objective.whole]
    return {"whole": whole, "layers": layers, "traces": layers + whole}[work]


def _compile(objective: Objective) -> tuple[dict[str, float], dict[str, float]]:
    """Returns the seconds for compilation, and those for single products.

    The time for compilation is the difference between a first and a second search. The products are
    those of the whole model and of its first, a middle and its last layer, each compiled
    separately. The later the layer, the earlier its backward pass ends.
    """
    compiling, single = {}, {}
    for work in WORK:
        first, second = (_own(objective, work, seed=0)["seconds"][0] for _ in range(2))
        compiling[work] = first - second
    layers = objective.layers
    for row in (layers[0], layers[len(layers) // 2], layers[-1], objective.whole):
        product = _all_products(objective, [row])
        product()
        single[row.name] = float(np.median([_timed(product)[0] for _ in range(9)]))
    return compiling, single


def _all_products(objective: Objective, rows: list[TrackedLayer]) -> Callable[[], Any]:
    from keras_lcb.landscape.hessian import BlockProducts

    products = BlockProducts(objective, rows)
    return functools.partial(products, [np.ones(size, products.dtype) for size in products.sizes])


def _bare(objective: Objective, work: str, counts: dict[str, int]) -> dict[str, Any]:
    """Measures the time of a number of products for each block, each product separately."""
    from keras_lcb.landscape.hessian import BlockProducts

    rows = _rows(objective, work)
    products = BlockProducts(objective, rows)
    seconds = np.zeros(2)
    for place, row in enumerate(rows):
        vectors: list[Any] = [None] * len(rows)
        vectors[place] = np.ones(products.sizes[place], products.dtype)
        for _ in range(counts[row.name]):
            seconds += _timed(functools.partial(products, vectors))
    return {"seconds": seconds.tolist(), "products": counts}


def _table(rounds: dict[str, list[Any]]) -> dict[str, dict[str, Any]]:
    """Summarizes the rounds of each tool."""
    own = np.array([result["seconds"][0] for result in rounds[OWN]])
    rows = {}
    for tool, results in rounds.items():
        seconds = np.array([result["seconds"][0] for result in results])
        last = results[-1]
        traces, errors = last.get("trace", {}), last.get("trace_standard_error", {})
        relative = [errors[n] / abs(traces[n]) for n in errors if np.isfinite(errors[n])]
        rounds_of_both = min(len(own), len(seconds))
        ratios = own[:rounds_of_both] / seconds[:rounds_of_both]
        lower, median, upper = np.quantile(ratios, [0.25, 0.5, 0.75])
        rows[tool] = {
            "seconds": float(np.median(seconds)),
            "ratio": {"median": median, "lower": lower, "upper": upper},
            "products": float(np.median([sum(r["products"].values()) for r in results])),
            "largest_residual": max(
                residual for r in results for residual in r.get("residual", {"": np.nan}).values()
            ),
            "median_relative_error": float(np.median(relative)) if relative else None,
        }
    return rows


def _print_table(
    table: dict[str, Any],
    compiling: dict[str, float],
    single: dict[str, float],
    rounds: dict[str, dict[str, list[Any]]],
) -> None:
    print(
        f"{'':31}{'':12}{'seconds':>9}{'keras_lcb / it':>26}{'products':>10}{'residual':>10}"
        f"{'error':>8}"
    )
    for work, tools in table.items():
        for tool, row in tools.items():
            ratio = row["ratio"]
            spread = f"{ratio['median']:.2f} ({ratio['lower']:.2f} - {ratio['upper']:.2f})"
            error = row["median_relative_error"]
            print(
                f"{WORK[work].title:31}{tool:12}{row['seconds']:9.2f}{spread:>26}{row['products']:10.0f}"
                f"{row['largest_residual']:10.1e}{'' if error is None else f'{error:8.2f}'}"
            )
    once = ", ".join(f"{name} {seconds:.1f} s" for name, seconds in compiling.items())
    print(f"compiling: {once}")
    one = ", ".join(f"{name} {1e3 * seconds:.0f} ms" for name, seconds in single.items())
    print(f"one product, compiled by itself: {one}")
    own_rule: dict[str, float] = {}
    for result in [*rounds["whole"][PYHESSIAN], *rounds["layers"][PYHESSIAN]]:
        for name, residual in result["own_rule_residual"].items():
            own_rule[name] = max(own_rule.get(name, 0.0), residual)
    worst = max(own_rule, key=lambda name: own_rule[name])
    print(
        f"with its own stopping rule, PyHessian ends at a residual of {own_rule['(all)']:.1e} for "
        f"the whole model, and at {own_rule[worst]:.1e} for '{worst}'"
    )


def _targets(part: str, table: dict[str, Any]) -> list[dict[str, Any]]:
    targets = []
    for (work, other), at_most in AT_MOST.items():
        ratio = table[work][other]["ratio"]
        targets.append(
            {
                "what": f"{part}: {WORK[work].title}, time over that of {other}",
                "at_most": at_most,
                "measured": ratio["median"],
                "reached": bool(ratio["median"] <= at_most),
                "within_noise": bool(ratio["lower"] <= at_most <= ratio["upper"]),
            }
        )
    return targets


@contextlib.contextmanager
def _peers(
    weights: dict[str, np.ndarray], blocks: int, width: int, samples: int, most_iterations: int
) -> Iterator[Callable[..., Any]]:
    """Starts the other tools in a separate process; gives a function that sends requests to it."""
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / "weights.npz"
        np.savez(path, **weights)  # type: ignore[arg-type]
        command = [sys.executable, "-m", "benchmarks.curvature_peers"]
        with subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        ) as process:
            assert process.stdin is not None and process.stdout is not None

            def ask(**request: Any) -> Any:
                print(json.dumps(request), file=process.stdin, flush=True)
                answer = process.stdout.readline()  # type: ignore[union-attr]
                if not answer:
                    raise RuntimeError(
                        "Received no answer: the process of PyHessian and curvlinops has ended. "
                        "Its error is printed above."
                    )
                return json.loads(answer)

            settings = [str(path), blocks, width, samples, most_iterations]
            print(json.dumps(settings), file=process.stdin, flush=True)
            try:
                yield ask
            finally:
                process.stdin.close()


def _check_same(own: float, other: float) -> None:
    if abs(own - other) > 1e-4 * abs(own):
        raise RuntimeError(
            f"The networks in Keras and torch must have the same loss; received {own} in Keras and "
            f"{other} in torch."
        )


# The callback.


def _callback(rounds: int, quick: bool) -> dict[str, Any]:
    """Compares training a CNN on digits, with one record in each epoch, with plain training."""
    from benchmarks import interleaved, workloads

    variants, data = _trainings(PROBES)
    # Many short rounds, because the speed of the machine changes within seconds.
    timings = interleaved.time_variants(
        variants, data, batch_size=64, rounds=rounds if quick else 10 * rounds, epochs=2
    )
    rows: dict[str, dict[str, Any]] = {}
    print(f"\ndigits CNN, Adam, batch 64, one record per epoch, on {PROBES} images")
    for name, timing in timings.items():
        ratio = interleaved.ratio(timing, timings[workloads.PLAIN])
        rows[name] = {
            "epoch_s": float(np.median(timing.epochs[..., 0])),
            "hooks_s": float(np.median(timing.hooks[..., 0])),
            "ratio": {"median": ratio.median, "lower": ratio.lower, "upper": ratio.upper},
            "start_s": float(timing.first_start[0]),
        }
        print(
            f"{name:25}epoch {1e3 * rows[name]['epoch_s']:8.1f} ms, "
            f"{1e3 * rows[name]['hooks_s']:.1f} of them in hooks   {ratio.median:.3f} "
            f"({ratio.lower:.3f} - {ratio.upper:.3f})   first epoch, compiling included "
            f"{rows[name]['start_s']:.1f} s"
        )
    taken = rows["LayerSharpness"]["ratio"]
    target = {
        "what": "digits CNN, LayerSharpness once an epoch, wall time over plain fit",
        "at_most": CALLBACK_AT_MOST,
        "measured": taken["median"],
        "reached": bool(taken["median"] <= CALLBACK_AT_MOST),
        "within_noise": bool(taken["lower"] <= CALLBACK_AT_MOST <= taken["upper"]),
    }
    return {"variants": rows, "targets": [target]}


def _trainings(samples: int) -> tuple[dict[str, Any], tuple[np.ndarray, np.ndarray]]:
    import keras
    from sklearn.datasets import load_digits

    import keras_lcb as lcb
    from benchmarks.interleaved import Variant
    from benchmarks.workloads import PLAIN
    from keras_lcb.vision.networks import build_cnn

    digits = load_digits()
    x, y = (digits.images[..., None] / 16).astype("float32"), digits.target
    train, held_out = slice(1438), slice(1438, 1438 + samples)

    # All variants train the same model, with the same compiled step. The times of two copies of a
    # model may differ by as much as a callback costs.
    model = build_cnn((8, 8, 1), classes=10)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.Adam(1e-3), loss)

    def probing(probe: keras.callbacks.Callback) -> Variant:
        return Variant(model, lambda: [probe])

    kinds = lcb.LayerSharpness, lcb.GradientPredictiveness
    variants = {kind.__name__: probing(kind(x[held_out], y[held_out])) for kind in kinds}
    return {PLAIN: Variant(model, list), **variants}, (x[train], y[train])


def _timed(function: Callable[[], Any]) -> np.ndarray:
    began = _now()
    function()
    return _now() - began


def _now() -> np.ndarray:
    return np.array([time.perf_counter(), time.process_time()])


def _verdict(target: dict[str, Any]) -> str:
    verdict = "reached" if target["reached"] else "NOT reached"
    if target["within_noise"]:
        verdict += ", but within the noise"
    return f"{target['what']}: {target['measured']:.3f}, at most {target['at_most']}: {verdict}"


if __name__ == "__main__":
    main()
