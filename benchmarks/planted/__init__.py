"""Trainings with a known fault, and the same ones mended as a finding advises."""
