"""The operator: what a run is in a Kubernetes cluster. Clips are pods of an Indexed Job, the volume is a claim.

Its folders stand on each other. A folder imports those below it in this list, never one above:

- ``process``: the operator as a process: its loop, its pollers, its Lease and its HTTP pages;
- ``acting``: the requests that carry a plan out;
- ``reporting``: status, conditions and Events for people and for other tools;
- ``observing``: from the objects of a cluster to the :class:`clipfarm.world.World` that rules decide on;
- ``vram``: readings of GPU memory and where they come from;
- ``api``: the API server, its objects, and what is kept of them.

Start with ``process/operator.py``: its loop observes, calls :func:`clipfarm.decide.plan.decide`, and acts.
"""
