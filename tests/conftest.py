"""What all tests are run with."""

import signal


def pytest_configure() -> None:
    """Take signals that whoever started the tests ignores: programs of the tests inherit that, and keep to it."""
    for number, usual in ((signal.SIGINT, signal.default_int_handler), (signal.SIGHUP, signal.SIG_DFL)):
        if signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, usual)
