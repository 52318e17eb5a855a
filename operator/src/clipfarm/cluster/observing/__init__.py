"""From the objects of a cluster to the world that rules decide on.

It changes nothing in the cluster. It imports ``clipfarm.cluster.vram`` and ``clipfarm.cluster.api``.

Its face: ``observe.observe`` returns the :class:`clipfarm.world.World` of one run; ``tracked.Tracked`` is what the
operator remembers of a run between two ticks; ``refused`` and ``stuck`` say why pods do not get on; ``results`` reads
what deleted pods have left.
"""
