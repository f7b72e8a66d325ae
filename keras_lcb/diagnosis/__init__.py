"""Finds what goes wrong in a training, with the evidence for it and advice on what to try."""

from keras_lcb.diagnosis.diagnosing import diagnose
from keras_lcb.diagnosis.finding import Advice, Finding
from keras_lcb.diagnosis.findings import Findings
from keras_lcb.diagnosis.rules import NAMES

__all__ = ["NAMES", "Advice", "Finding", "Findings", "diagnose"]
