"""The state of a training at one moment, and what it says."""
