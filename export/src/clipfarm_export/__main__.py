"""``python -m clipfarm_export``: what ``clipfarm export`` becomes."""

from clipfarm_export.cli import main

main("clipfarm export")
