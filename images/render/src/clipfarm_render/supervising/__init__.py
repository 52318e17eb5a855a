"""The supervisor: a block of clips, one after the other, each made by a child process.

From above: :mod:`supervisor` (the command), :mod:`block` (all its clips), :mod:`attempt` (one clip, once),
:mod:`children` (the processes that a block needs), :mod:`child` (one of them) and :mod:`watch` (what it prints, and
when it ends). Nothing here imports NumPy or Blender, so that a crash of either costs one clip.
"""
