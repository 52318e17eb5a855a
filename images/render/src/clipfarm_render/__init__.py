"""clipfarm's renderer: one clip of a physics experiment from one seed.

There are two programs. The supervisor (:mod:`~clipfarm_render.supervising`) starts a child process for each clip, and
does not know Blender. The child (:mod:`~clipfarm_render.clip`) reads as the story of one clip: it makes the
:mod:`~clipfarm_render.scene`, renders its :mod:`~clipfarm_render.picture` frame by frame, and
:mod:`checks <clipfarm_render.checks>` the files. Both share :mod:`~clipfarm_render.job`, the task and the report.
"""
