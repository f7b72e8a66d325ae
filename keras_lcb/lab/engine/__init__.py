"""The training of a lab, in the background."""
