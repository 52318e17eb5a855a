"""What people and other tools read of a run: its status, conditions and Events, and both as lines of text.

All of it is data and text: nothing here makes a request. It imports ``clipfarm.cluster.observing`` and
``clipfarm.cluster.api``.

Its face: ``status.run_status`` builds the status of a run, with the conditions of ``conditions`` and
``standard_conditions``; ``writing`` says when it is written. ``events.notices`` compares two statuses and returns what
an Event reports. ``summary`` and ``vram`` turn a status into lines for the command line.
"""
