"""Holds the rules of GPU memory against simulated GPUs: clips that run out of memory, throughput, use of memory.

    .venv/bin/python bench/vram_sim.py                                # all scenarios, three seeds
    .venv/bin/python bench/vram_sim.py --only neighbours --seeds 1
    .venv/bin/python bench/vram_sim.py --shared                       # scenarios of 2 to 30 runs on the same GPUs
    .venv/bin/python bench/vram_sim.py --informed                     # a policy that knows all but sizes
    .venv/bin/python bench/vram_sim.py --plot docs/images             # draws plots, with the first seed

The rules are the real ones (``clipfarm.decide.plan.decide``). They are compared with no gate at all, with the first
system's rule (one reading for all GPUs, closed above 85 % until below 70 %, zero where nothing is known), and with an
oracle that knows what each clip and each neighbour will do. Prints a JSON line for each scenario and each figure.
"""

import argparse
import json
import statistics
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from functools import partial
from pathlib import Path

from clipfarm_simulation.fleet import Exporters, Fleet
from clipfarm_simulation.policies import FirstSystem, Informed, NoGate, Oracle
from clipfarm_simulation.real_rules import Clipfarm, run_of
from clipfarm_simulation.runs import Scenario
from clipfarm_simulation.scenarios import SCENARIOS, SHARED
from clipfarm_simulation.simulate import Make, Result, RunResult, simulate

OVERCOMMIT = (1.5, 1.4, 1.3, 1.2, 1.1, 1.0)
"""Of the oracle: the largest with which nothing runs out of memory and most is done is found in hindsight."""
DEVIATIONS = (1.0, 1.5, 2.0, 2.5, 3.0)
"""Of the informed policy: the best that loses few enough is found in hindsight."""
AHEAD = (1.0, 0.5, 0.25)
"""How far it looks ahead at neighbours that change: found in hindsight, too."""
LOST_BY_CHANCE = 25
"""Attempts that it may lose where no gate loses few."""
Results = Mapping[str, Result]


def main() -> None:
    """Simulate, and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", choices=[each.name for each in (*SCENARIOS, *SHARED)], action="append")
    parser.add_argument("--shared", action="store_true", help="only scenarios of several runs")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--informed", action="store_true", help="only a policy that knows all but sizes")
    parser.add_argument("--processes", type=int, help="scenarios at a time; one for each core if not given")
    parser.add_argument("--plot", type=Path, help="a folder for plots")
    options = parser.parse_args()
    every = SHARED if options.shared else (*SCENARIOS, *SHARED) if options.only else SCENARIOS
    chosen = [scenario for scenario in every if options.only is None or scenario.name in options.only]
    by_seed: list[dict[str, Results]] = [{} for _ in range(options.seeds)]
    pairs = [(scenario, seed) for seed in range(options.seeds) for scenario in chosen]
    with ProcessPoolExecutor(options.processes) as pool:
        if options.informed:
            figures_of_informed(pairs, pool.map(informed, *zip(*pairs, strict=True)))
            return
        for (scenario, seed), results in zip(pairs, pool.map(compare, *zip(*pairs, strict=True)), strict=True):
            by_seed[seed][scenario.name] = results
            print(json.dumps(line_of(scenario, seed, results)), flush=True)
    singles, several = (
        [
            {name: each for name, each in found.items() if (len(each["clipfarm"].runs) > 1) is wanted}
            for found in by_seed
        ]
        for wanted in (False, True)
    )
    if singles[0]:
        figures(singles)
    if several[0]:
        figures_of_runs(several)
    if options.plot:
        import vram_plots

        vram_plots.draw(options.plot, by_seed)


def compare(scenario: Scenario, seed: int) -> Results:
    """Return what comes of a scenario under each policy."""
    found = {
        "clipfarm": simulate(scenario, seed, Clipfarm),
        "none": simulate(scenario, seed, lambda fleet, _: NoGate(fleet)),
        "first": simulate(scenario, seed, FirstSystem),
    }
    for name, high in (("oracle", 1.0), ("oracle_within_high", run_of(scenario).spec.vram.high)):
        found[name] = best(scenario, seed, [partial(_oracle, much, high) for much in OVERCOMMIT], most_lost=0)
    return found


def _oracle(overcommit: float, high: float, fleet: Fleet, _: Exporters) -> Oracle:
    return Oracle(fleet, overcommit, high)


def best(scenario: Scenario, seed: int, makes: Sequence[Make], most_lost: int) -> Result:
    """Return what comes of the fastest policy that does not lose too much; one that does, or is slower, is cut off."""
    found: Result | None = None
    # What a run that is deleted has done until then counts, so the shortest simulation is not the fastest.
    may_be_cut = all(party.deleted is None for party in scenario.runs)
    for make in makes:
        until = found.seconds if found is not None and may_be_cut else None
        one = simulate(scenario, seed, make, until=until, most_lost=most_lost)
        cut = until is not None and one.seconds >= until
        if one.out_of_memory <= most_lost and not cut and (found is None or one.per_hour > found.per_hour):
            found = one
    if found is None:
        raise ValueError(f"{scenario.name}: every policy lost more than {most_lost} attempts")
    return found


def informed(scenario: Scenario, seed: int) -> Results:
    """Return what comes of a policy that knows all but which clip is how large, and loses 1 % of what no gate loses."""
    high = run_of(scenario).spec.vram.high
    oracle = best(scenario, seed, [partial(_oracle, much, 1.0) for much in OVERCOMMIT], most_lost=0)
    none = simulate(scenario, seed, lambda fleet, _: NoGate(fleet))
    found = {"oracle": oracle}
    aheads = (1.0,) if scenario.tenants in ("none", "steady") else AHEAD
    for name, learns in (("informed", False), ("informed_learns", True)):
        makes = [partial(_informed, many, high, part, learns) for many in DEVIATIONS for part in aheads]
        found[name] = best(scenario, seed, makes, most_lost=max(LOST_BY_CHANCE, none.out_of_memory // 100))
    return found


def _informed(deviations: float, high: float, ahead: float, learns: bool, fleet: Fleet, _: Exporters) -> Informed:
    return Informed(fleet, deviations, high, ahead, learns=learns)


def figures_of_informed(pairs: Sequence[tuple[Scenario, int]], every: Iterable[Results]) -> None:
    """Print what part of the oracle's speed they reach, by scenario, and the mean over the scenarios of each seed."""
    ratios: dict[str, dict[int, list[float]]] = {}
    for (scenario, seed), results in zip(pairs, every, strict=True):
        line: dict[str, object] = {"scenario": scenario.name, "seed": seed}
        for name, result in results.items():
            if name != "oracle":
                line[name] = round(result.per_hour / results["oracle"].per_hour, 4)
                line[f"{name}_out_of_memory"] = result.out_of_memory
                ratios.setdefault(name, {}).setdefault(seed, []).append(result.per_hour / results["oracle"].per_hour)
        print(json.dumps(line), flush=True)
    for name, by_seed in ratios.items():
        tell(f"vram_{name}_vs_oracle", [statistics.mean(each) for each in by_seed.values()], None)


def line_of(scenario: Scenario, seed: int, results: Results) -> dict[str, object]:
    """Return what is printed of one scenario."""
    line: dict[str, object] = {"scenario": scenario.name, "seed": seed, "clips": scenario.total}
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
    if len(scenario.runs) > 1:
        runs = results["clipfarm"].runs
        line["jain"], line["weights_off"] = round(jain(runs), 4), round(weights_off(runs), 4)
        line["longest_wait"] = max(run.longest_wait for run in runs)
    return line


def throughout(runs: Sequence[RunResult]) -> list[RunResult]:
    """Return the runs that were there from the beginning, and were not deleted."""
    return [run for run in runs if not run.party.begins and run.party.deleted is None]


def jain(runs: Sequence[RunResult]) -> float:
    """Return Jain's index of the progress of equal runs, when the first was done: 1 if all got on alike."""
    groups: dict[str, list[float]] = {}
    for run in throughout(runs):
        groups.setdefault(repr(run.party), []).append(run.at_first_end / run.party.clips)
    found = [sum(each) ** 2 / (len(each) * sum(part**2 for part in each)) for each in groups.values() if sum(each)]
    return min(found, default=0.0)


def weights_off(runs: Sequence[RunResult]) -> float:
    """Return by how much runs of equal clips and different priorities were off their weights, at most, as a part."""
    groups: dict[str, list[float]] = {}
    for run in throughout(runs):
        alike = replace(run.party, priority=1, clips=0)
        groups.setdefault(repr(alike), []).append(run.at_first_end / run.party.priority)
    return max(max(abs(each / statistics.mean(group) - 1) for each in group) for group in groups.values())


def figures_of_runs(by_seed: list[dict[str, Results]]) -> None:
    """Print the figures over all scenarios of several runs, one sample a seed."""

    def lost(found: dict[str, Results], name: str) -> int:
        return sum(results[name].out_of_memory for results in found.values())

    tell(
        "vram_runs_oom_cut_vs_none", [1 - lost(each, "clipfarm") / max(1, lost(each, "none")) for each in by_seed], 0.99
    )
    ratios = [[each["clipfarm"].per_hour / each["oracle"].per_hour for each in found.values()] for found in by_seed]
    tell("vram_runs_throughput_vs_oracle", [statistics.mean(each) for each in ratios], 0.97)
    tell("vram_runs_throughput_vs_oracle_worst", [min(each) for each in ratios], None)
    tell("vram_runs_jain", [min(jain(each["clipfarm"].runs) for each in found.values()) for found in by_seed], 0.95)
    off = [max(weights_off(each["clipfarm"].runs) for each in found.values()) for found in by_seed]
    tell("vram_runs_weights_off", off, 0.10, better="lower")


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


def tell(name: str, samples: list[float], goal: float | None, better: str = "higher") -> None:
    """Print one figure."""
    line = {"name": name, "value": round(statistics.mean(samples), 4), "goal": goal, "better": better}
    line |= {"spread": round((max(samples) - min(samples)) / 2, 4), "samples": [round(each, 4) for each in samples]}
    print(json.dumps(line), flush=True)


if __name__ == "__main__":
    main()
