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
    if options.backend is not None:
        os.environ["KERAS_BACKEND"] = options.backend
    with _loading():
        import tensorflow as tf

        from keras_lcb import demo

        tf.zeros(())  # The first tensor makes it look for devices, and say which it missed.
    demo.run(options.out, data=options.data, seed=options.seed)


def _report(options: argparse.Namespace) -> None:
    with _loading():
        import keras_lcb as lcb
    out = options.out or options.path.with_suffix(".html")
    lcb.write_report(lcb.load_run(options.path), out)
    print(out)


@contextmanager
def _loading() -> Iterator[None]:
    """Let Keras and its backend load quietly, or say in a sentence why they cannot.

    TensorFlow tells of its build and of missing GPUs while it loads, past `sys.stderr`, and no
    setting of it keeps it from that: so the descriptor itself is set aside meanwhile. If loading
    fails, what was held back is printed after all.
    """
    backend = os.environ.get("KERAS_BACKEND")
    if backend is not None and backend not in BACKENDS:
        raise ValueError(f"KERAS_BACKEND is {backend!r}; it can be {', '.join(BACKENDS)}.")
    if backend is not None and find_spec(backend) is None:
        raise ValueError(
            f"The backend {backend} is not installed: pip install {backend}, or choose another."
        )
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    sys.stderr.flush()
    terminal = os.dup(2)
    with tempfile.TemporaryFile() as held_back:
        os.dup2(held_back.fileno(), 2)
        try:
            yield
        except Exception as error:
            held_back.seek(0)
            os.write(terminal, held_back.read())
            if isinstance(error, ImportError):
                raise ValueError(f"Keras or what it needs cannot be loaded: {error}") from error
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
