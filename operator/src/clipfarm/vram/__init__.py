"""Where readings of GPU memory come from."""
