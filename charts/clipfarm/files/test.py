"""Asks the operator at OPERATOR whether it is ready and alive; it has a minute to say so."""

import os
import sys
import time
import urllib.error
import urllib.request

operator, deadline = os.environ["OPERATOR"], time.monotonic() + float(os.environ.get("LIMIT", "60"))


def ask(path: str) -> str:
    """Return what the operator answers; what is wrong where it does not, or says no."""
    while True:
        try:
            with urllib.request.urlopen(operator + path, timeout=5) as answer:
                return answer.read().decode()
        except urllib.error.HTTPError as error:
            problem = error.read().decode().strip() or str(error)
        except OSError as error:
            problem = str(error)
        if time.monotonic() > deadline:
            sys.exit(f"{operator}{path}: {problem}")
        time.sleep(1)


for path in ("/readyz", "/healthz"):
    print(f"{path}: {ask(path).strip()}")
if "clipfarm_tick_seconds_count" not in ask("/metrics"):
    sys.exit(f"{operator}/metrics: found no clipfarm_tick_seconds_count, expected the operator's metrics")
