"""What cannot be changed once a run is there, in the API server's own language (CEL).

All other rules stand beside the fields that they are about (:mod:`clipfarm.cel`).
"""

from clipfarm.cel import Validation, validation
from clipfarm.render import Render

UNCHANGEABLE = "cannot be changed; make a new run"


def _immutable(field: str) -> Validation:
    """Return a rule of ``spec``: the field stays as it was when the run was made."""
    present, before = f"has(self.{field})", f"has(oldSelf.{field})"
    parts = field.split(".")
    # Every object on the way may be absent.
    guard = " && ".join(f"has(self.{'.'.join(parts[: i + 1])})" for i in range(len(parts) - 1))
    same = f"{present} == {before} && (!{present} || self.{field} == oldSelf.{field})"
    return validation(f"!({guard}) || ({same})" if guard else same, UNCHANGEABLE, f".{field}")


def _clips_per_pod() -> Validation:
    """Return a rule of ``spec``: ``clipsPerPod`` stays as it was, but may be left out where it was 1.

    It was 1 by default once. `kubectl replace` of a file that does not have it would be refused without this.
    """
    now, before = "self.render.clipsPerPod", "oldSelf.render.clipsPerPod"
    rule = f"has({now}) ? has({before}) && {now} == {before} : !has({before}) || {before} == 1"
    return validation(f"!has(self.render) || ({rule})", UNCHANGEABLE, ".render.clipsPerPod")


def _sets() -> Validation:
    """Return a rule of ``spec``: feature sets come and go, and stay as they were while they are there."""
    now, before = "self.encode.features", "oldSelf.encode.features"
    same = f"{now}.all(f, {before}.all(g, f.name != g.name || f == g))"
    rule = f"!has(self.encode) || !has(oldSelf.encode) || !has({now}) || !has({before}) || {same}"
    return validation(rule, "sets cannot be changed; give the new one another name", ".encode.features")


def _fields_of_render(*but: str) -> list[str]:
    """Return paths of all fields of ``render`` but some, which the pods do not depend on."""
    names = [field.alias or name for name, field in Render.model_fields.items()]
    assert {*but} <= {*names}
    return [f"render.{name}" for name in names if name not in but]


IMMUTABLE: list[Validation] = [
    # A run that names no volume cannot start; it may be given one.
    validation(
        "!has(oldSelf.storage) || (has(self.storage) && self.storage == oldSelf.storage)", UNCHANGEABLE, ".storage"
    ),
    *[
        _immutable(field)
        for field in (
            "seed",
            "clips",
            "experiment",
            "source",
            *_fields_of_render("clipsPerPod", "keepPods", "scaleUp"),
            "retry.limit",
            "encode.enabled",
            "encode.model",
            "encode.weights",
            "encode.cropSize",
            "encode.dtype",
        )
    ],
    _clips_per_pod(),
    _sets(),
]
"""Rules of ``spec``."""
