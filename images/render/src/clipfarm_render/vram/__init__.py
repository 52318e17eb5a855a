"""GPU memory: how much a clip takes, how much is in use once it has ended, and how running out of it looks."""
