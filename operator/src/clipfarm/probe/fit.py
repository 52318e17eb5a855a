"""Linear probes: how well a target follows from features, on clips that the probe has not seen.

Numbers are predicted by ridge regression, whose strength is chosen by leave-one-out errors within the training clips;
the score is R², the part of the variance that is explained. Words are predicted by logistic regression; the score is
balanced accuracy, the mean over the words of the part that is recognised.

Controls learn the same targets, shuffled among the clips: what they reach is chance, or a fault of the procedure.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression, RidgeCV
from sklearn.metrics import balanced_accuracy_score, r2_score
from sklearn.model_selection import KFold, StratifiedKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from clipfarm.probe.samples import ProbeError, Samples

STRENGTHS = np.logspace(-3, 6, 10)
"""Penalties of ridge regression that are tried; features are scaled to a variance of 1 before."""
LOGISTIC_STEPS = 1000
Fold = tuple[NDArray[np.intp], NDArray[np.intp]]
"""Clips to learn from, and clips to predict."""


@dataclass(frozen=True, slots=True)
class Score:
    """Of one layer at one time step."""

    layer: str
    step: int
    score: float
    control: float
    """Mean score of the controls."""
    control_high: float
    """The best of them."""


@dataclass(frozen=True, slots=True)
class Plan:
    """How clips are divided, and how often targets are shuffled."""

    folds: tuple[Fold, ...]
    shuffled: tuple[NDArray[np.intp], ...]
    """For each control, whose target a clip gets."""


def plan(samples: Samples, folds: int, shuffles: int, seed: int, test_phase: str | None = None) -> Plan:
    """Divide clips into folds, or into those of other phases and those of a phase to be tested on.

    Raises:
        ProbeError: there are too few clips, or the target is the same for all.
    """
    count, rng = len(samples.clips), np.random.default_rng(seed)
    _check(samples, np.arange(count))
    if test_phase is not None:
        inside = np.array([phase == test_phase for phase in samples.phases])
        groups = [np.flatnonzero(~inside), np.flatnonzero(inside)]
        for which, group in zip(("to learn from", f"of phase {test_phase!r} to test on"), groups, strict=True):
            if len(group) < 2:
                raise ProbeError(f"found {len(group)} clips {which}, expected 2 or more")
        _check(samples, groups[0], " to learn from")
        if samples.numbers is not None:  # R² is not defined without a variance
            _check(samples, groups[1], f" of phase {test_phase!r} to test on")
        parts: tuple[Fold, ...] = ((groups[0], groups[1]),)
    else:
        if count < 2 * folds:
            raise ProbeError(f"found {count} clips, expected {2 * folds} or more for {folds} folds (--folds)")
        groups = [np.arange(count)]
        parts = tuple(_folds(samples, folds, seed))
    return Plan(parts, tuple(_shuffled(groups, count, rng) for _ in range(shuffles)))


def scores(samples: Samples, plan: Plan) -> Iterator[Score]:
    """Fit a probe for each layer and time step, with its controls."""
    for number, layer in enumerate(samples.layers):
        for step in range(samples.features.shape[2]):
            values = samples.features[:, number, step].astype(np.float64)
            if samples.numbers is not None:
                found = _ridge(values, samples.numbers[:, step], plan)
            else:
                assert samples.words is not None, "a target is numbers or words"
                found = _logistic(values, samples.words, plan)
            controls = found[1:] or [float("nan")]
            yield Score(layer, step, found[0], float(np.mean(controls)), float(np.max(controls)))


def _ridge(features: NDArray[np.float64], target: NDArray[np.float64], plan: Plan) -> list[float]:
    """Return R² of the target, and of each control: all are fitted at once, as further outputs."""
    targets = np.concatenate([target, *(target[order] for order in plan.shuffled)], axis=1)
    tested = np.concatenate([test for _, test in plan.folds])
    predicted = np.empty_like(targets)
    for train, test in plan.folds:
        probe = make_pipeline(StandardScaler(), RidgeCV(STRENGTHS, alpha_per_target=True))
        probe.fit(features[train], targets[train])
        predicted[test] = probe.predict(features[test]).reshape(len(test), -1)
    each = r2_score(targets[tested], predicted[tested], multioutput="raw_values")
    return [float(value) for value in each.reshape(-1, target.shape[1]).mean(axis=1)]


def _logistic(features: NDArray[np.float64], target: NDArray[np.str_], plan: Plan) -> list[float]:
    tested = np.concatenate([test for _, test in plan.folds])
    found = []
    for wanted in (target, *(target[order] for order in plan.shuffled)):
        predicted = np.empty_like(wanted)
        for train, test in plan.folds:
            if len(set(wanted[train])) == 1:  # of a control, a rare word may be in the tested clips alone
                predicted[test] = wanted[train][0]
                continue
            probe = make_pipeline(StandardScaler(), LogisticRegression(max_iter=LOGISTIC_STEPS))
            predicted[test] = probe.fit(features[train], wanted[train]).predict(features[test])
        found.append(float(balanced_accuracy_score(wanted[tested], predicted[tested])))
    return found


def _check(samples: Samples, group: NDArray[np.intp], which: str = "") -> None:
    """Refuse a target that is the same for a group of clips.

    Raises:
        ProbeError: it is.
    """
    # Compared value by value: the standard deviation of equal numbers need not be zero.
    if samples.numbers is not None:
        numbers = samples.numbers[group]
        same = None if (numbers != numbers[0]).any() else f"{numbers[0, 0, 0]:g}"
    else:
        assert samples.words is not None, "a target is numbers or words"
        words = samples.words[group]
        same = None if len(set(words)) > 1 else str(words[0]) or "empty"
    if same is not None:
        raise ProbeError(f"the target is {same} for all clips{which}: nothing to predict")


def _folds(samples: Samples, folds: int, seed: int) -> Iterator[Fold]:
    nothing = np.zeros(len(samples.clips))
    if samples.words is None:
        yield from KFold(folds, shuffle=True, random_state=seed).split(nothing)
        return
    words, counts = np.unique(samples.words, return_counts=True)
    if counts.min() < folds:
        rare = words[counts.argmin()]
        raise ProbeError(f"found {counts.min()} clips with {rare}, expected {folds} or more (--folds)")
    yield from StratifiedKFold(folds, shuffle=True, random_state=seed).split(nothing, samples.words)


def _shuffled(groups: Sequence[NDArray[np.intp]], count: int, rng: np.random.Generator) -> NDArray[np.intp]:
    """Return another clip for each, within its group: so groups keep their distribution."""
    order = np.arange(count)
    for group in groups:
        order[group] = rng.permutation(group)
    return order
