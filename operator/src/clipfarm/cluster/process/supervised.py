"""Tasks beside the loop: a fault in one of them ends neither the loop nor the others."""

import asyncio
import logging
from collections.abc import Awaitable, Callable

from prometheus_client import Counter

from clipfarm.cluster.api.backoff import pause

LOGGER = logging.getLogger(__name__)
FAULTS = Counter("clipfarm_task_faults_total", "Faults of tasks beside the loop that were not foreseen", ["task"])


async def supervised(name: str, work: Callable[[], Awaitable[None]]) -> None:
    """Do some work for ever: when it ends with an unforeseen exception, log it, wait, and begin it again.

    Args:
        name: of the task, for the log and the metric.
        work: begins it.
    """
    failures = 0
    while True:
        try:
            await work()
        except Exception:  # this is the last place that could catch it before the operator ends
            failures += 1
            FAULTS.labels(name).inc()
            LOGGER.exception("%s: a fault that was not foreseen; begins again", name)
            await asyncio.sleep(pause(failures))
        else:
            return
