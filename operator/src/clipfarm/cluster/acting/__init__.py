"""The requests that carry a plan out: nothing else in the operator changes a run's objects.

It decides nothing: what fails stays undone, and the next tick sees that. It imports ``clipfarm.cluster.reporting`` and
the folders below it.

Its face: ``changes.changes`` returns the requests that a plan needs, a file for each object that they are about
(``storage``, ``config_maps``, ``rendering``, ``encoding``, ``reports``, ``exporting``, ``evictions``), and
``apply.Applier`` makes them. ``release.Gatekeeper`` takes scheduling gates off; ``sweep.Sweeper`` deletes pods that
have ended; ``parallelism`` and ``pace`` say how many pods Jobs are given, and how fast; ``expiry`` says when a run
itself is deleted. ``invalid.Refusals`` writes what is wrong into a run that makes no sense; ``retrying.annotations``
asks for another attempt.
"""
