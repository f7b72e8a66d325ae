"""The report of a run: one HTML file that needs nothing else."""

from keras_lcb.report.writing import write_report

__all__ = ["write_report"]
