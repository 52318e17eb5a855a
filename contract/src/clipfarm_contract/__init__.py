"""What clipfarm's renderer, encoder and operator agree on.

Standard library only, so that every image can afford it:

- :mod:`~clipfarm_contract.exit_codes`: how a renderer says what happened
- :mod:`~clipfarm_contract.environment`: the variables a renderer gets, and the thread limits
- :mod:`~clipfarm_contract.experiment`: what to render, and the recipe of one clip
- :mod:`~clipfarm_contract.layout`: where each file of a clip and of a run lies
- :mod:`~clipfarm_contract.indexes`: numbers of clips as ranges, ``1,3-5``
- :mod:`~clipfarm_contract.layers`: what the layers of a frame mean, and how their files become values
- :mod:`~clipfarm_contract.clip`: ``clip.json``, and how a folder becomes a complete clip
- :mod:`~clipfarm_contract.excerpt`: a clip that is a part of somebody else's video
- :mod:`~clipfarm_contract.models`: what a model's name says of it
- :mod:`~clipfarm_contract.features`: whether a clip has the features that are wanted
- :mod:`~clipfarm_contract.feature_sets`: sets of features, and :mod:`~clipfarm_contract.extraction`: what they know
- :mod:`~clipfarm_contract.regular`: reading files that another program may have put there
- :mod:`~clipfarm_contract.locks`: locks of the file system
- :mod:`~clipfarm_contract.scratch`: folders for temporary files
- :mod:`~clipfarm_contract.parent`: whether the process that started this one is still there
- :mod:`~clipfarm_contract.signals`: which signals end a program
- :mod:`~clipfarm_contract.writers`: who is writing clips into a folder
- :mod:`~clipfarm_contract.result`: what the supervisor reports of a clip
- :mod:`~clipfarm_contract.attempts`: how often a clip ran out of GPU memory
- :mod:`~clipfarm_contract.termination`: what a renderer's container reports of its block of clips
- :mod:`~clipfarm_contract.export_end`: what an export came to, as its container reports it
- :mod:`~clipfarm_contract.encoder_progress`: what an encoder has done so far
- :mod:`~clipfarm_contract.encoder_counts`: its clips by what became of them, and those of each feature set
- :mod:`~clipfarm_contract.objects`: labels and annotations of the objects that a run becomes in a cluster
- :mod:`~clipfarm_contract.kernels`: where Cycles' kernels for GPUs lie
- :mod:`~clipfarm_contract.cpus`: how many CPUs a process may use
"""
