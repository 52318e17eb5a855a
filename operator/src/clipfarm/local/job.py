"""What the local executor was asked to do."""

import hashlib
from dataclasses import dataclass, field
from pathlib import Path

from clipfarm.run import Run
from clipfarm_contract.experiment import ClipRecipe, Experiment
from clipfarm_contract.layout import RunFolder

TEST_CLIPS = 5


@dataclass(frozen=True)
class Job:
    """A run, the clips of it that are wanted, and where they go."""

    run: Run
    folder: RunFolder
    clips: tuple[int, ...]
    experiment: Experiment = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "experiment", self.run.spec.contract())

    def recipe(self, clip: int) -> ClipRecipe:
        """Return what decides how a clip looks."""
        return self.experiment.recipe(self.run.spec.seed, clip, own_renderer=self.renderer is not None)

    @property
    def renderer(self) -> tuple[str, ...] | None:
        """The user's own renderer, None for the built-in one."""
        return self.run.spec.render.command or None

    @property
    def experiment_file(self) -> Path:
        """Where the experiment lies for the renderers; another experiment is another file."""
        digest = hashlib.sha256(self.run.spec.experiment_json().encode()).hexdigest()[:12]
        return self.folder.state / f"experiment-{digest}.json"


def spread(run: Run, count: int | None) -> tuple[int, ...]:
    """Return ``count`` clips spread over the phases: each phase in turn, evenly inside a phase.

    Fewer where the run has fewer. None: five, or one of each phase if there are more.
    """
    first, last = run.spec.to_render.start, run.spec.to_render.end
    phases = []
    for phase in sorted(run.spec.scene.phases, key=lambda phase: phase.clips.start):
        start, end = max(first, phase.clips.start), min(last, phase.clips.end)
        if start <= end:
            phases.append(range(start, end + 1))
    count = max(TEST_CLIPS, len(phases)) if count is None else count
    shares = [0] * len(phases)
    while sum(shares) < min(count, sum(map(len, phases))):
        # The phase with the fewest so far; the earliest of those.
        open_phases = [i for i, phase in enumerate(phases) if shares[i] < len(phase)]
        shares[min(open_phases, key=lambda i: shares[i])] += 1
    return tuple(
        phase[i * len(phase) // share] for phase, share in zip(phases, shares, strict=True) for i in range(share)
    )
