"""GPU memory as the operator sees it, for Prometheus."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from clipfarm.cluster.api.owners import RunKey
from clipfarm.cluster.observing.tracked import Tracked
from clipfarm.cluster.vram.gpus import Gpus
from clipfarm.decide.vram.ledger import Ledger
from clipfarm_contract.result import MIB

LABELS = ("node", "gpu")


@dataclass(eq=False)  # a registry keeps its collectors in a dict
class GpuMetrics(Collector):
    """Made when they are asked for: an age that was worked out earlier would be wrong."""

    gpus: Gpus
    runs: Mapping[RunKey, Tracked]
    ledger: Callable[[], Ledger]
    """Returns the claims of all runs."""
    clock: Callable[[], float]

    def describe(self) -> Iterator[Metric]:
        """Yield the metrics without values."""
        yield from self._families()

    def collect(self) -> Iterator[Metric]:
        """Yield the metrics of each GPU that was ever read and is not gone."""
        used, total, age, closed, claimed, claims = families = self._families()
        now, ledger = self.clock(), self.ledger()
        for gpu, reading in self.gpus.readings.items():
            labels = (gpu.node, gpu.number)
            used.add_metric(labels, reading.used_mib * MIB)
            total.add_metric(labels, reading.total_mib * MIB)
            age.add_metric(labels, now - reading.at)
            for claim in ledger.claims(gpu.node, gpu):
                claims.add_metric((*labels, claim.run), claim.clips)
                if claim.mib is not None:  # an unknown size is not zero
                    claimed.add_metric((*labels, claim.run), claim.mib * MIB)
        # Runs have marks of their own: a gate is closed where it is for any of them.
        gates: dict[tuple[str, str], bool] = {}
        for tracked in self.runs.values():
            for gpu, gate in tracked.memory.watermarks.items():
                key = (gpu.node, gpu.number)
                gates[key] = gates.get(key, False) or gate.closed
        for key, is_closed in gates.items():
            closed.add_metric(key, float(is_closed))
        yield from families

    def _families(self) -> tuple[GaugeMetricFamily, ...]:
        by_run = (*LABELS, "run")
        return (
            GaugeMetricFamily("clipfarm_vram_used_bytes", "Used GPU memory at the last reading.", labels=LABELS),
            GaugeMetricFamily("clipfarm_vram_total_bytes", "GPU memory that may be allocated.", labels=LABELS),
            GaugeMetricFamily("clipfarm_vram_reading_age_seconds", "How old the last reading is.", labels=LABELS),
            GaugeMetricFamily("clipfarm_vram_gate_closed", "1: no clip starts on it, by its use.", labels=LABELS),
            GaugeMetricFamily("clipfarm_vram_claimed_bytes", "GPU memory that a run claims.", labels=by_run),
            GaugeMetricFamily(
                "clipfarm_vram_claims", "Clips of a run with a claim, also of unknown size.", labels=by_run
            ),
        )
