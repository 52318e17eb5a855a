"""Which signals end a program."""

import signal


def not_ignored(*numbers: signal.Signals) -> list[signal.Signals]:
    """Return those of some signals that this process was not started to ignore; the others are to stay ignored.

    ``nohup`` has SIGHUP ignored, and a shell SIGINT for what a script starts in the background.
    """
    return [number for number in numbers if signal.getsignal(number) is not signal.SIG_IGN]
