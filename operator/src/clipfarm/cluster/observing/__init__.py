"""From the objects of a cluster to the world that rules decide on.

It changes nothing in the cluster. It imports ``clipfarm.cluster.vram`` and ``clipfarm.cluster.api``.

Its face: ``look.look`` replaces what is remembered of a run and returns its :class:`clipfarm.world.World`; all of it is
worked out by ``observe.observe``, which changes nothing, from ``own.Own``: the run's own objects, gathered once a look.
``tracked.Tracked`` is one run: its ``memory`` is a frozen value, and each class of ``work`` names the one part of the
operator that writes it. ``seen.Seen`` is what there is to look at, and when. ``devices.Offer`` is what a node has for a
run's pods, and ``settled.Settled`` which indexes of a Job need no more of them. ``refused`` and ``stuck`` say why pods
do not get on; ``results`` reads what deleted pods have left.
"""
