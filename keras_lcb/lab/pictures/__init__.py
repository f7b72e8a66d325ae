"""The pictures of labs, drawn with Matplotlib."""
