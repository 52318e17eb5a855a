"""How much of a thing a run or a command line may ask for: far above any use, and below what ends in a traceback."""

LAST_CLIP = 9_999_999
"""The largest number of a clip."""
MOST_BATCH = 1024
"""Clips that are encoded at a time."""
MOST_CROP = 1024
"""Width and height of what the encoder's model sees, pixels: 65,536 tokens of a clip of 32 frames."""
