"""``python -m clipfarm_encode``: the command line."""

from clipfarm_encode.cli import main

main()
