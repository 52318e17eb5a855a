"""Encoder processes that start in a moment: forked from one that has imported everything, PyTorch above all.

Run as a script it is that one: for each line on standard input, ``[log, arguments...]``, it starts an encoder with
its output in the file ``log``, and answers with the encoder's process id.
"""

import contextlib
import json
import os
import signal
import subprocess
import sys


class Encoders:
    """Starts encoders, and kills those that are left at the end."""

    def __init__(self, environ):
        self._process = subprocess.Popen(
            [sys.executable, __file__], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environ
        )
        self._started = []
        assert self._read() == "ready"

    def start(self, log, *arguments):
        """Start an encoder and return its process id."""
        self._process.stdin.write(json.dumps([str(log), *map(str, arguments)]) + "\n")
        self._process.stdin.flush()
        pid = int(self._read())
        self._started.append(pid)
        return pid

    def close(self):
        for pid in self._started:
            kill(pid)
        self._process.stdin.close()
        self._process.wait()
        self._process.stdout.close()

    def _read(self):
        return self._process.stdout.readline().strip()


def kill(pid, number=signal.SIGKILL):
    with contextlib.suppress(ProcessLookupError):  # it has ended by itself
        os.kill(pid, number)


def is_alive(pid):
    """Tell whether a process runs; one that ended and waits to be noticed does not."""
    try:
        with open(f"/proc/{pid}/stat") as file:  # noqa: PTH123  may vanish between two steps
            return file.read().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def serve():
    import clipfarm_encode.run  # noqa: F401
    from clipfarm_encode import cli

    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for the children
    print("ready", flush=True)
    for line in sys.stdin:
        log, *arguments = json.loads(line)
        pid = os.fork()
        if pid:
            print(pid, flush=True)
            continue
        # The child's own children are waited for.
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        signal.signal(signal.SIGINT, signal.default_int_handler)
        with open(log, "ab") as file:  # noqa: PTH123
            os.dup2(file.fileno(), 1)
            os.dup2(file.fileno(), 2)
        os.close(0)
        sys.argv[1:] = arguments
        try:
            cli.main()
        finally:
            sys.stdout.flush()
            os._exit(sys.exc_info()[1].code if isinstance(sys.exc_info()[1], SystemExit) else 70)


if __name__ == "__main__":
    serve()
