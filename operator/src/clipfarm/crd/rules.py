"""What types cannot say, in the API server's own language (CEL).

The same rules stand as validators in :mod:`clipfarm.run`; a test holds both against the same bad runs. Each entry
names the object that the rule looks at, as a path below ``spec``.
"""

from typing import Any

from clipfarm.run import Render
from clipfarm_contract.experiment import SHAPES

Rule = dict[str, Any]


def _rule(rule: str, message: str, field: str | None = None) -> Rule:
    """Return a rule of an object, or of one of its fields: ``field`` is where the message points to.

    Messages are fixed texts: one that is computed would cost more than the API server lets a rule cost.
    """
    made: Rule = {"rule": rule, "message": message, "reason": "FieldValueInvalid"}
    return made | ({"fieldPath": field} if field else {})


def _ordered(low: str, high: str) -> list[Rule]:
    return [_rule(f"self.{low} <= self.{high}", f"expected {low} or more", f".{high}")]


def _immutable(field: str) -> Rule:
    """Return a rule of ``spec``: the field stays as it was when the run was made."""
    present, before = f"has(self.{field})", f"has(oldSelf.{field})"
    parts = field.split(".")
    # Every object on the way may be absent.
    guard = " && ".join(f"has(self.{'.'.join(parts[: i + 1])})" for i in range(len(parts) - 1))
    same = f"{present} == {before} && (!{present} || self.{field} == oldSelf.{field})"
    return _rule(f"!({guard}) || ({same})" if guard else same, "cannot be changed; make a new run", f".{field}")


def _fields_of_render(*but: str) -> list[str]:
    """Return paths of all fields of ``render`` but some, which the pods do not depend on."""
    names = [field.alias or name for name, field in Render.model_fields.items()]
    assert {*but} <= {*names}
    return [f"render.{name}" for name in names if name not in but]


def _duration(field: str) -> str:
    """Return a duration in CEL, whose own function knows no days but adds up hours: ``1d`` is ``10h10h1h1h1h1h``.

    A product would do, too, but the API server cannot tell how long its text is, and thinks it too costly.
    """
    text = f"self.{field}"
    days, rest = f"{text}.substring(0, {text}.indexOf('d'))", f"{text}.substring({text}.indexOf('d') + 1)"
    hours = " + ".join(f"{days} + '{unit}'" for unit in ("0h", "0h", "h", "h", "h", "h"))
    return f"duration({text}.contains('d') ? {hours} + {rest} : {text})"


_POSITIVE = [_rule("self.matches('[1-9]')", "expected more than 0")]

RULES: dict[str, list[Rule]] = {
    "": [
        # Phases do not overlap, so each clip is in one when the parts of the run that they hold add up to the run.
        _rule(
            "self.experiment.phases.map(p,"
            " (p.clips.end < self.clips.end ? p.clips.end : self.clips.end)"
            " - (p.clips.start > self.clips.start ? p.clips.start : self.clips.start) + 1)"
            ".filter(n, n > 0).sum() == self.clips.end - self.clips.start + 1",
            "expected each clip of the run in one phase",
            ".experiment.phases",
        ),
        _rule(
            "self.render.command.size() > 0 || self.experiment.phases.all(p, p.friction.max <= 1.0)",
            "expected friction of 1 or less, or a renderer of your own (render.command)",
            ".experiment.phases",
        ),
        # A run that names no volume cannot start; it may be given one.
        _rule(
            "!has(oldSelf.storage) || (has(self.storage) && self.storage == oldSelf.storage)",
            "cannot be changed; make a new run",
            ".storage",
        ),
        *[
            _immutable(field)
            for field in (
                "seed",
                "clips",
                "experiment",
                *_fields_of_render("keepPods", "scaleUp"),
                "retry.limit",
                "encode.enabled",
                "encode.model",
                "encode.weights",
                "encode.cropSize",
                "encode.dtype",
            )
        ],
    ],
    "clips": _ordered("start", "end"),
    "experiment": [
        _rule(
            f"has(self.assets) || self.objects.all(name, name in {list(SHAPES)})",
            f"expected {', '.join(SHAPES[:-1])} or {SHAPES[-1]}, or an id with assets",
            ".objects",
        ),
        _rule(
            "self.impulse.atFrame <= self.frames - 2",
            "expected frames - 2 or less, so that a frame shows motion",
            ".impulse.atFrame",
        ),
        _rule(
            "self.phases.all(a, self.phases.all(b, a.name == b.name || a.clips.end < b.clips.start"
            " || b.clips.end < a.clips.start))",
            "phases overlap, expected each clip in one phase",
            ".phases",
        ),
    ],
    "experiment.layers": [_rule("'rgb' in self", "expected rgb among them: the encoder and the checks look at it")],
    "experiment.frames": [_rule("self % 2 == 0", "expected an even number: the encoder takes frames in pairs")],
    "experiment.fps": [_rule("240 % self == 0", "expected a divisor of 240, the rate of the physics")],
    "experiment.impulse": _ordered("min", "max"),
    "experiment.phases[].clips": _ordered("start", "end"),
    "experiment.phases[].friction": _ordered("min", "max"),
    "experiment.phases[].mass": _ordered("min", "max"),
    "render.timeout": _POSITIVE,
    "render.memory": _POSITIVE,
    "render.sharedMemory": _POSITIVE,
    "vram.checkInterval": _POSITIVE,
    "vram.staleAfter": _POSITIVE,
    "vram.heldWarningAfter": _POSITIVE,
    "vram.perClip": _POSITIVE,
    "encode.memory": _POSITIVE,
    "encode.cpu": _POSITIVE,
    "storage.size": _POSITIVE,
    "vram": [
        _rule("self.low < self.high", "expected less than high", ".low"),
        _rule(
            f"{_duration('staleAfter')} > {_duration('checkInterval')}",
            "expected more than checkInterval",
            ".staleAfter",
        ),
    ],
    "encode": [
        _rule(
            "!self.enabled || has(self.weights)",
            "missing, expected {source: FILE or FOLDER or random}, or encode.enabled: false",
            ".weights",
        )
    ],
    "encode.weights": [
        _rule(
            "!(self.source.startsWith('https://') || self.source.startsWith('http://')) || has(self.sha256)",
            "missing, expected the SHA-256 of the file at the address",
            ".sha256",
        ),
        _rule(
            "!(self.source.startsWith('https://') || self.source.startsWith('http://')) || !has(self.revision)",
            "expected only beside an id on Hugging Face",
            ".revision",
        ),
    ],
    "encode.cropSize": [_rule("self % 16 == 0", "expected a multiple of 16, the patch size of the model")],
    "storage": [_rule("has(self.claimName) != has(self.size)", "expected either claimName or size", ".claimName")],
}
