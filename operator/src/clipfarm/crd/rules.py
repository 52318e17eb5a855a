"""What types cannot say, in the API server's own language (CEL).

The same rules stand as validators in :mod:`clipfarm.run`; a test holds both against the same bad runs. Each entry
names the object that the rule looks at, as a path below ``spec``.
"""

from typing import Any

Rule = dict[str, Any]


def _rule(rule: str, message: str, field: str | None = None) -> Rule:
    """Return a rule; ``message`` is a CEL expression where it holds values, as all of ours do."""
    made: Rule = {
        "rule": rule,
        "messageExpression": message,
        "message": "not a valid run",
        "reason": "FieldValueInvalid",
    }
    return made | ({"fieldPath": field} if field else {})


def _ordered(name: str) -> dict[str, list[Rule]]:
    return {
        name: [
            _rule(
                "self.min <= self.max",
                "'found ' + string(self.max) + ', expected min (' + string(self.min) + ') or more'",
                ".max",
            )
        ]
    }


def _range(name: str) -> dict[str, list[Rule]]:
    return {
        name: [
            _rule(
                "self.start <= self.end",
                "'found ' + string(self.end) + ', expected start (' + string(self.start) + ') or more'",
                ".end",
            )
        ]
    }


def _immutable(field: str) -> Rule:
    """Return a rule of ``spec``: the field stays as it was when the run was made."""
    present, before = f"has(self.{field})", f"has(oldSelf.{field})"
    parts = field.split(".")
    # Every object on the way may be absent.
    guard = " && ".join(f"has(self.{'.'.join(parts[: i + 1])})" for i in range(len(parts) - 1))
    same = f"{present} == {before} && (!{present} || self.{field} == oldSelf.{field})"
    return _rule(f"!({guard}) || ({same})" if guard else same, "'cannot be changed; make a new run'", f".{field}")


# Clips of the run that a phase holds, added up over the phases. Phases do not overlap, so all are held when the sum
# is the number of clips.
_HELD = (
    "self.experiment.phases.map(p,"
    " (p.clips.end < self.clips.end ? p.clips.end : self.clips.end)"
    " - (p.clips.start > self.clips.start ? p.clips.start : self.clips.start) + 1)"
    ".filter(n, n > 0)"
)

RULES: dict[str, list[Rule]] = {
    "": [
        _rule(
            f"{_HELD}.sum() == self.clips.end - self.clips.start + 1",
            f"'the phases hold ' + string({_HELD}.sum()) + ' of ' + string(self.clips.end - self.clips.start + 1)"
            " + ' clips, expected each clip in one phase'",
            ".experiment.phases",
        ),
        *[
            _immutable(field)
            for field in (
                "seed",
                "clips",
                "storage",
                "experiment",
                "render",
                "retry.limit",
                "encode.enabled",
                "encode.model",
                "encode.weights",
                "encode.cropSize",
                "encode.dtype",
            )
        ],
    ],
    **_range("clips"),
    "experiment": [
        _rule(
            "self.impulse.atFrame <= self.frames - 2",
            "'found ' + string(self.impulse.atFrame) + ', expected ' + string(self.frames - 2) + ' or less,"
            " so that one of the ' + string(self.frames) + ' frames shows motion'",
            ".impulse.atFrame",
        ),
        _rule(
            "self.phases.all(a, self.phases.all(b, a.name == b.name || a.clips.end < b.clips.start"
            " || b.clips.end < a.clips.start))",
            "'phases overlap, expected each clip in one phase'",
            ".phases",
        ),
    ],
    "experiment.frames": [
        _rule(
            "self % 2 == 0", "'found ' + string(self) + ', expected an even number: the encoder takes frames in pairs'"
        )
    ],
    "experiment.fps": [
        _rule("240 % self == 0", "'found ' + string(self) + ', expected a divisor of 240, the rate of the physics'")
    ],
    **_ordered("experiment.impulse"),
    **_range("experiment.phases[].clips"),
    **_ordered("experiment.phases[].friction"),
    **_ordered("experiment.phases[].mass"),
    "vram": [
        _rule(
            "self.low < self.high",
            "'found ' + string(self.low) + ', expected less than high (' + string(self.high) + ')'",
            ".low",
        ),
        # CEL's duration() knows no days; who waits days for a reading is told by the operator.
        _rule(
            "self.staleAfter.contains('d') || self.checkInterval.contains('d')"
            " || duration(self.staleAfter) > duration(self.checkInterval)",
            "'found ' + self.staleAfter + ', expected more than checkInterval (' + self.checkInterval + ')'",
            ".staleAfter",
        ),
    ],
    "encode": [
        _rule(
            "!self.enabled || has(self.weights)",
            "'missing, expected {source: FILE or FOLDER or random}, or encode.enabled: false'",
            ".weights",
        )
    ],
    "encode.cropSize": [
        _rule("self % 16 == 0", "'found ' + string(self) + ', expected a multiple of 16, the patch size of the model'")
    ],
    "storage": [
        _rule("has(self.claimName) != has(self.size)", "'expected either claimName or size'", ".claimName"),
    ],
}
