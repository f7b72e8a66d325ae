"""What a member of the declared sections does: from settings to a run, one training a file."""
