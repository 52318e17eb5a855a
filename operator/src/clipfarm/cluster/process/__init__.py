"""The operator as a process: its loop, the pollers beside it, its Lease and its HTTP pages.

It may import every folder of ``clipfarm.cluster``; only the command line imports it.

Its face: ``handlers.serve`` runs everything until a signal ends it; ``operator.Operator`` is the loop; ``tick.Ticker``
observes all runs, decides in a fair order, and acts; ``poller.Poller`` asks regularly for what no watch brings;
``lease.Lease`` is the right to write.
"""
