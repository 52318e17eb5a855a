"""Situations in which the rules of GPU memory are measured: sizes, neighbours and exporters, from good to bad."""

from typing import Any

from clipfarm_simulation.runs import Party, Scenario

TIGHT: dict[str, Any] = {"peak": 5500.0, "tenants": "steady", "collects": 10}
SCENARIOS = (
    # One GPU and NVML's own numbers, as on a workstation.
    Scenario("workstation", ((1, 24),), clips=2000, workers=12, tells_age=True),
    # One machine whose first GPU has an encoder at work; the exporter of NVIDIA's collects every 30 s by default.
    Scenario("encoder", ((4, 24),), clips=4000, workers=36, tenants="encoder", collects=30),
    # 64 GPUs, whose neighbours' jobs come and go.
    Scenario("fleet", ((8, 40),) * 8, clips=10_000, workers=512, tenants="steps", collects=15),
    # Small nodes with the same neighbours, more workers than fit.
    Scenario("neighbours", ((2, 24),) * 4, clips=4000, workers=80, tenants="steps", collects=15),
    # Inference services: from a tenth to half of a GPU and back within a minute or so.
    Scenario("bursts", ((2, 24),) * 4, clips=4000, workers=64, tenants="bursts", collects=5),
    # Two clips fill a GPU.
    Scenario("large", ((1, 16),) * 4, clips=1500, workers=16, **TIGHT),
    # Exporters are away for five minutes, a tenth of the time.
    Scenario("outages", ((2, 24),) * 8, clips=5000, workers=112, tenants="steady", collects=10, outages=0.1),
    # GPUs of three sizes.
    Scenario("mixed", ((2, 16), (2, 24), (1, 80)), clips=4000, workers=60, collects=30),
    # A clip has little in use but for short peaks.
    Scenario("spikes", ((4, 24),), clips=3000, workers=48, plateau=0.4, collects=5),
    # Slices of a large GPU, memory of their own each.
    Scenario("slices", ((7, 10),) * 2, clips=3000, workers=56, tells_age=True, at_full_speed=2.0),
    # A renderer of the user's own that reports nothing: the run says what a clip takes.
    Scenario("given", ((2, 24),) * 4, clips=4000, workers=64, tenants="steady", collects=10, knows="given"),
    # The same, and the run does not say it either.
    Scenario("nothing", ((2, 24),) * 4, clips=4000, workers=64, tenants="steady", collects=10, knows="nothing"),
)
SHARED = (
    # Three people start the same run on one large GPU at the same moment.
    Scenario("three", ((1, 80),), parties=(Party(600, 24),) * 3, collects=10),
    # Clips of four sizes; two of the largest fill a GPU.
    Scenario(
        "sizes",
        ((2, 24),) * 2,
        collects=10,
        tenants="steady",
        parties=tuple(
            Party(clips, 32, peak=peak) for clips, peak in ((900, 1200.0), (600, 2500.0), (240, 5500.0), (120, 9500.0))
        ),
    ),
    # Two runs of which one is to have three times the share of the other.
    Scenario("weights", ((4, 24),), parties=(Party(500, 40), Party(1500, 40, priority=3)), collects=5),
    # A run comes when two others have filled all GPUs; another one is deleted in the middle.
    Scenario(
        "late",
        ((2, 24),) * 4,
        collects=15,
        tenants="steps",
        parties=(Party(1500, 64), Party(1500, 64), Party(600, 64, begins=600), Party(2000, 64, deleted=900)),
    ),
    # The operator is killed and starts again while four runs share the GPUs.
    Scenario("restart", ((4, 40),), parties=(Party(700, 40, peak=3500.0),) * 4, collects=30, restart=500),
    # Renderers that report nothing: two runs say what a clip takes, one does not.
    Scenario(
        "mute",
        ((2, 24),) * 2,
        collects=10,
        tenants="steady",
        parties=(Party(700, 32, knows="given"), Party(700, 32, knows="given"), Party(500, 32, knows="nothing")),
    ),
    # Thirty runs, of five sizes.
    Scenario(
        "thirty",
        ((8, 40),) * 2,
        collects=15,
        tenants="bursts",
        parties=tuple(Party(120, 20, peak=1500.0 + 900.0 * (number % 5)) for number in range(30)),
    ),
)
"""Several runs that share GPUs."""
