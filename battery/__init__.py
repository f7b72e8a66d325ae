"""Many models, trainings and faults that the package must stand: `python -m battery`."""
