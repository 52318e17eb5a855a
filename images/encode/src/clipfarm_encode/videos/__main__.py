"""Runs the command: ``python -m clipfarm_encode.videos``."""

from clipfarm_encode.videos.cli import main

main()
