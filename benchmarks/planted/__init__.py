"""Trainings with a known fault, and the same trainings with the advice of a finding."""
