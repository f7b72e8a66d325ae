"""What the loss around the layers is like, along training: callbacks over this room's functions."""
