"""The command `keras-lcb`.

It stands beside the package and not in it: `import keras_lcb` imports Keras, which takes seconds
and settles on a backend. Here arguments are read first, so that `--help` answers at once and
`--backend` still has an effect.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

BACKENDS = ("tensorflow", "jax", "torch")

EXAMPLES = """examples:
  keras-lcb demo                         train two networks, write their reports to demo/
  keras-lcb demo --data mnist --seed 3   the same on a set of tensorflow-datasets
  keras-lcb demo --backend jax           the same on JAX
  keras-lcb report run.nc -o run.html    write the report of a run saved by lcb.save_run
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line.

    Args:
        arguments: what follows the command's name; by default, what it was called with.

    Returns:
        The exit code: 0, 2 for what cannot be done as asked, 130 after Ctrl-C.
    """
    options = _parser().parse_args(arguments)
    try:
        options.run(options)
    except KeyboardInterrupt:
        return 130
    except (OSError, ValueError) as error:
        print(f"keras-lcb: {_sentence(error)}", file=sys.stderr)
        return 2
    return 0


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
        help="images: digits (the default, inside scikit-learn), or an image classification set "
        "of tensorflow-datasets, which is downloaded: mnist, cifar10, …",
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
    return parser


def _seed(text: str) -> int:
    if not text.isdecimal() or int(text) >= 2**32:
        raise argparse.ArgumentTypeError(f"{text!r} is no whole number from 0 to 2**32 - 1")
    return int(text)


def _demo(options: argparse.Namespace) -> None:
    options.out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryFile(dir=options.out):
        pass  # Better to learn now than after the training that the folder cannot be written.
    _import_keras(options.backend)
    from keras_lcb import demo

    demo.run(options.out, data=options.data, seed=options.seed)


def _report(options: argparse.Namespace) -> None:
    _import_keras()
    import keras_lcb as lcb

    out = options.out or options.path.with_suffix(".html")
    lcb.write_report(lcb.load_run(options.path), out)
    print(out)


def _import_keras(backend: str | None = None) -> None:
    if backend is not None:
        os.environ["KERAS_BACKEND"] = backend
    named = os.environ.get("KERAS_BACKEND")
    if named is not None and named not in BACKENDS:
        raise ValueError(f"KERAS_BACKEND is {named!r}; it can be {', '.join(BACKENDS)}.")
    if named is not None and find_spec(named) is None:
        raise ValueError(
            f"The backend {named} is not installed: pip install {named}, or choose another."
        )
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    try:
        with _notices_held_back():
            import keras  # noqa: F401
    except ImportError as error:
        raise ValueError(f"Keras cannot be loaded: {error}") from error


@contextmanager
def _notices_held_back() -> Iterator[None]:
    """Hold back what TensorFlow says about its build while it loads, which no setting of it does.

    It writes past `sys.stderr`, so the descriptor itself is set aside. If loading fails, it is
    printed after all.
    """
    sys.stderr.flush()
    terminal = os.dup(2)
    with tempfile.TemporaryFile() as notices:
        os.dup2(notices.fileno(), 2)
        try:
            yield
        except BaseException:
            notices.seek(0)
            os.write(terminal, notices.read())
            raise
        finally:
            os.dup2(terminal, 2)
            os.close(terminal)


def _sentence(error: Exception) -> str:
    if isinstance(error, OSError) and error.strerror and error.filename:
        return f"'{error.filename}' cannot be used: {error.strerror}."
    return " ".join(str(error).split())


if __name__ == "__main__":
    sys.exit(main())
