"""All arithmetic about GPU memory, in the order in which a tick uses it. Sizes are MiB.

- :mod:`learned` collects what finished clips report of the memory that they took
- :mod:`expected` is the memory that the next clip will take
- :mod:`counts` counts the clips of each GPU: those that readings show, and those that they do not show yet
- :mod:`others` is what one run's clips are to other runs, and :mod:`ledger` has those of all runs
- :mod:`neighbours` derives from readings the memory that other processes use
- :mod:`watermarks` closes a GPU above ``vram.high`` and opens it again below ``vram.low``
- :mod:`place` is a GPU, or several, with its state and the clips there
- :mod:`claims` adds the memory that clips have claimed, which no reading shows yet, to what readings show

The rules that hold clips by it are in :mod:`clipfarm.decide.rules`, one file each. Where readings come from is the
matter of :mod:`clipfarm.vram`.
"""
