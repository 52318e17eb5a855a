"""A run's clips as a data set: for `datasets`, `webdataset` or `lerobot`, beside the run and never in it.

From the top: :mod:`~clipfarm_export.cli` reads the command line, :mod:`~clipfarm_export.export` is the whole way on one
screen. A format (:mod:`clipfarm_export.formats`) divides the clips into *parts*, each a few files that are made, hashed
and published together; an export that was killed goes on with the parts that are missing.
"""
