"""clipfarm's renderer: one clip of a physics experiment from one seed.

:mod:`~clipfarm_render.supervisor` is what runs; it starts a child process for each clip.
:mod:`~clipfarm_render.push` is that child, and reads as the story of one clip.
"""
