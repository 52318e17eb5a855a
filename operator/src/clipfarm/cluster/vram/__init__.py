"""Readings of GPU memory: which pods and addresses report them, and the newest reading of each GPU.

It imports ``clipfarm.cluster.api``. What a page of an exporter means is read by ``clipfarm.vram``, which the laptop
shares.

Its face: ``gpus.Gpus`` holds the readings and asks for new ones; ``exporters.Exporters`` finds the pods to ask;
``asking`` is what one source answers, ``scrape.fetch`` asks one address within bounds, and ``source.Source`` remembers
how that went.
"""
