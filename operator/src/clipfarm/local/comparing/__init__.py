"""Two makings of one clip: identical, equal within what another processor or GPU may change, or different.

The bytes of a clip are the same on the same kind of processor. Another one rounds some operations otherwise, and a GPU
adds light in another order from run to run, so a few pixels change by a step of 255. How far apart two makings may be
is measured (docs/reproducibility.md, "What another machine changes"); more than that is a fault.

From above: :mod:`compare` (the verdict and its words), :mod:`bounds` (how far apart two makings may be),
:mod:`distance` (how far apart they are) and :mod:`content` (what their files hold).
"""
