"""Runs the battery, or a part of it, and writes docs/RELIABILITY.md.

python -m battery              all checks on all backends that have no result yet, then the page
python -m battery KIND [FILE]  those of a kind (models, trainings, optimizers) on KERAS_BACKEND
python -m battery page         only the page
"""

from __future__ import annotations

import sys

from battery import page, running


def main(arguments: list[str]) -> None:
    if not arguments:
        running.run_everywhere()
    elif arguments[0] in running.KINDS:
        running.run(*arguments[:2])
        return
    page.write()


if __name__ == "__main__":
    main(sys.argv[1:])
