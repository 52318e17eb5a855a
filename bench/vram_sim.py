"""Holds the rules of GPU memory against simulated GPUs: clips that run out of memory, throughput, use of memory.

    .venv/bin/python bench/vram_sim.py                                # all scenarios, three seeds
    .venv/bin/python bench/vram_sim.py --only neighbours --seeds 1
    .venv/bin/python bench/vram_sim.py --plot docs/images             # draws plots, with the first seed

The rules are the real ones (``clipfarm.decide.plan.decide``). They are compared with no gate at all, with the first
system's rule (one reading for all GPUs, closed above 85 % until below 70 %, zero where nothing is known), and with an
oracle that knows what each clip and each neighbour will do. Prints a JSON line for each scenario and each figure.
"""

import argparse
import json
import statistics
from collections.abc import Mapping
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path

from clipfarm_simulation.fleet import Exporters, Fleet, Scenario
from clipfarm_simulation.policies import Clipfarm, FirstSystem, NoGate, Oracle, run_of
from clipfarm_simulation.scenarios import SCENARIOS
from clipfarm_simulation.simulate import Result, simulate

OVERCOMMIT = (1.5, 1.4, 1.3, 1.2, 1.1, 1.0)
"""Of the oracle: the largest with which nothing runs out of memory and most is done is found in hindsight."""
Results = Mapping[str, Result]


def main() -> None:
    """Simulate, and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", choices=[scenario.name for scenario in SCENARIOS], action="append")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--plot", type=Path, help="a folder for plots")
    options = parser.parse_args()
    chosen = [scenario for scenario in SCENARIOS if options.only is None or scenario.name in options.only]
    by_seed: list[dict[str, Results]] = [{} for _ in range(options.seeds)]
    pairs = [(scenario, seed) for seed in range(options.seeds) for scenario in chosen]
    with ProcessPoolExecutor() as pool:
        for (scenario, seed), results in zip(pairs, pool.map(compare, *zip(*pairs, strict=True)), strict=True):
            by_seed[seed][scenario.name] = results
            print(json.dumps(line_of(scenario, seed, results)), flush=True)
    figures(by_seed)
    if options.plot:
        import vram_plots

        vram_plots.draw(options.plot, by_seed)


def compare(scenario: Scenario, seed: int) -> Results:
    """Return what comes of a scenario under each policy."""
    found = {
        "clipfarm": simulate(scenario, seed, lambda fleet, exporters: Clipfarm(fleet, exporters, run_of(scenario))),
        "none": simulate(scenario, seed, lambda fleet, _: NoGate(fleet)),
        "first": simulate(scenario, seed, FirstSystem),
    }
    for name, high in (("oracle", 1.0), ("oracle_within_high", run_of(scenario).spec.vram.high)):
        oracles = (simulate(scenario, seed, partial(_oracle, much, high)) for much in OVERCOMMIT)
        found[name] = max((one for one in oracles if not one.out_of_memory), key=lambda one: one.per_hour)
    return found


def _oracle(overcommit: float, high: float, fleet: Fleet, _: Exporters) -> Oracle:
    return Oracle(fleet, overcommit, high)


def line_of(scenario: Scenario, seed: int, results: Results) -> dict[str, object]:
    """Return what is printed of one scenario."""
    line: dict[str, object] = {"scenario": scenario.name, "seed": seed, "clips": scenario.clips}
    line["gpus"] = sum(gpus for gpus, _ in scenario.nodes)
    line["vs_oracle"] = round(results["clipfarm"].per_hour / results["oracle"].per_hour, 4)
    for name, result in results.items():
        line[name] = {
            "out_of_memory": result.out_of_memory,
            "failed": result.failed,
            "clips_per_hour": round(result.per_hour),
            "mean_use": round(result.mean_use, 3),
            "neighbours_denied_seconds": result.denied,
        }
    return line


def figures(by_seed: list[dict[str, Results]]) -> None:
    """Print the figures over all scenarios, one sample a seed."""

    def lost(found: dict[str, Results], name: str) -> int:
        return sum(results[name].out_of_memory for results in found.values())

    for other, goal in (("none", 0.99), ("first", 0.90)):
        cuts = [1 - lost(found, "clipfarm") / max(1, lost(found, other)) for found in by_seed]
        tell(f"vram_oom_cut_vs_{other}", cuts, goal)
    for oracle, goal in (("oracle", 0.97), ("oracle_within_high", None)):
        ratios = [
            {name: results["clipfarm"].per_hour / results[oracle].per_hour for name, results in found.items()}
            for found in by_seed
        ]
        tell(f"vram_throughput_vs_{oracle}", [statistics.mean(each.values()) for each in ratios], goal)
        tell(f"vram_throughput_vs_{oracle}_worst", [min(each.values()) for each in ratios], None)
    for name in ("clipfarm", "oracle", "first", "none"):
        uses = [statistics.mean(results[name].mean_use for results in found.values()) for found in by_seed]
        tell(f"vram_mean_use_{name}", uses, None)


def tell(name: str, samples: list[float], goal: float | None) -> None:
    """Print one figure."""
    line = {"name": name, "value": round(statistics.mean(samples), 4), "goal": goal, "better": "higher"}
    line |= {"spread": round((max(samples) - min(samples)) / 2, 4), "samples": [round(each, 4) for each in samples]}
    print(json.dumps(line), flush=True)


if __name__ == "__main__":
    main()
