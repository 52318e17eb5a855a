"""The API server, its objects, and what the operator keeps of them.

Objects come in here as JSON and go on as frozen views with a few fields each. It imports no other folder of
``clipfarm.cluster``.

Its face: ``client.Api`` makes requests over a ``connection``, and ``errors`` are what they may end with;
``store.Store`` holds views of all objects, which ``store.watchers`` keeps up to date; ``views``, ``pod_views``,
``nodes``, ``pod_states`` and ``endings`` read one kind of object each; ``owners`` says whose an object is; ``times``
and ``paths`` read and write single fields; ``backoff.pause`` says how long a failed request waits.
"""
