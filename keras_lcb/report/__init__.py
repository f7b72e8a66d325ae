"""The report of a run: one self-contained HTML file."""

from keras_lcb.report.writing import write_report

__all__ = ["write_report"]
