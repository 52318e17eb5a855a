"""Files on the volume: clips to read, features to write, and the claims of encoders that share it."""
