"""Which process an encoder is, for those that share its folder: one that is known to be dead need not be waited for.

A process can be looked up only where its number means the same: in one PID namespace of one boot of one host. All of
them are told apart, since a number alone lies: in containers nearly every encoder is process 1. Where that is not
known to be the same place, nothing is said, and the heartbeat has to tell.
"""

import json
import os
import re
import socket
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Self

_BOOT = Path("/proc/sys/kernel/random/boot_id")
_ENDED = ("Z", "X")
"""States of a process that is dead and waits for its parent to notice."""


@dataclass(frozen=True, slots=True)
class Owner:
    """One process, so that no other is taken for it."""

    host: str
    """In a cluster the pod's name. Beside the two below, which a sandbox may make up for each of its pods alike."""
    boot: str
    """Of the kernel; another after each restart of the machine."""
    namespace: str
    """Inside which processes have their numbers, ``pid:[4026531836]``."""
    pid: int
    started: int
    """Clock ticks after the boot: numbers are given out again."""

    @classmethod
    def this(cls) -> Self | None:
        """Return this process; None where the system does not tell enough, as outside of Linux."""
        try:
            if Path("/proc/self").readlink().name != str(os.getpid()):
                return None  # /proc shows another namespace's processes
            found = _process(os.getpid())
            boot, namespace = _BOOT.read_text().strip(), str(Path("/proc/self/ns/pid").readlink())
        except OSError:
            return None
        return cls(socket.gethostname(), boot, namespace, os.getpid(), found[1]) if found else None

    @classmethod
    def parse(cls, text: str) -> Self | None:
        """Read what :meth:`to_json` has written; None where it is something else."""
        try:
            owner = cls(**json.loads(text))
        except (ValueError, TypeError):
            return None
        numbers = type(owner.pid) is int and owner.pid > 0 and type(owner.started) is int
        return owner if numbers else None

    def to_json(self) -> str:
        """Return one line of JSON."""
        return json.dumps(asdict(self)) + "\n"

    def has_ended(self, here: "Owner | None") -> bool:
        """Tell whether the process is known to be dead, looking from the process ``here``."""
        if here is None or (self.host, self.boot, self.namespace) != (here.host, here.boot, here.namespace):
            return False
        try:
            found = _process(self.pid)
        except FileNotFoundError:
            return _is_free(self.pid)
        except OSError:
            return False
        return found is not None and (found[0] in _ENDED or found[1] != self.started)


def _process(pid: int) -> tuple[str, int] | None:
    """Return a process's state and when it was started; None if the kernel has another form (proc_pid_stat(5)).

    Raises:
        OSError: it is not there, or hidden.
    """
    text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    # Its name, in brackets, may hold anything. The state is the third field, the start the 22nd.
    match = re.match(r" (\S)(?: \S+){18} (\d+) ", text.rpartition(")")[2])
    return (match[1], int(match[2])) if match else None


def _is_free(pid: int) -> bool:
    """Tell whether no process has a number: one that ``/proc`` does not show may be another user's (``hidepid``)."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    except OSError:
        return False
    return False
