"""The gallery's page, served while runs go on: on one machine with its clips, in a cluster with the runs' status.

``serving`` answers requests from a ``Source``; ``local_run`` and ``local_clips`` are that of a run on this machine.
"""
