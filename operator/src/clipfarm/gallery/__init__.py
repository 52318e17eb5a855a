"""``clipfarm gallery``: a page to look at the clips of a run, which opens as a file or is served while the run goes on.

``rows`` reads the run folder, ``table`` makes columns of it, ``strips`` makes thumbnails, ``write`` puts all of it
beside the page, whose own files are in ``page/``.
"""
