import signal

import pytest

from clipfarm_contract.signals import not_ignored

BOTH = (signal.SIGTERM, signal.SIGHUP)


@pytest.mark.parametrize(
    ("handler", "expected"),
    [(signal.SIG_IGN, [signal.SIGTERM]), (signal.SIG_DFL, [*BOTH]), (lambda *_: None, [*BOTH])],
    ids=["ignored", "default", "handled"],
)
def test_a_signal_that_was_ignored_stays_so(handler, expected):
    before = signal.signal(signal.SIGHUP, handler)
    try:
        assert not_ignored(*BOTH) == expected
    finally:
        signal.signal(signal.SIGHUP, before)
