"""Following a folder that grows, beside any number of other encoders.

- :mod:`~clipfarm_encode.watching.listing`: what is in the folder, and what has changed since the last look
- :mod:`~clipfarm_encode.watching.one_set`: one feature set's clips, from found to settled
- :mod:`~clipfarm_encode.watching.claiming`: claiming a clip, on a disk that may be full for a while
- :mod:`~clipfarm_encode.watching.watch`: the loop over all sets
"""
