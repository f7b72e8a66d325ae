"""What a lab shows beside its controls and pictures."""
