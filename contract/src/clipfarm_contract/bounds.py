"""How much of a thing a run or a command line may ask for: far above any use, and below what ends in a traceback."""

LAST_CLIP = 9_999_999
"""The largest number of a clip."""
MOST_BATCH = 1024
"""Clips that are encoded at a time."""
MOST_CROP = 1024
"""Width and height of what the encoder's model sees, pixels: 65,536 tokens of a clip of 32 frames."""
STEP_RATE = 240
"""Steps of the physics simulation a second, Hz: Bullet's default, and what its solver is tuned for."""
A_DIVISOR = f"a divisor of {STEP_RATE}, the rate of the physics"
"""What is expected of a clip's frames a second: between two of them are whole steps."""
LEAST_PIXELS, MOST_PIXELS = 16, 4096
"""Width and height of a frame."""
MOST_FRICTION = 1.0
"""Of the built-in renderer."""
