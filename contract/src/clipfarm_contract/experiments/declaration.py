"""What an experiment declares: the factors that a clip draws, with all that is to be known of each.

A declaration is data. The types of a run file, the definition's schema and rules, the tables of docs/run.md and the
renderer's own check are made from it. What happens in the experiment is told by a story in the renderer
(``clipfarm_render.experiments``), which gets the values that were drawn.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

from clipfarm_contract.experiments.laws import Choice, Law, Log, Uniform, Value
from clipfarm_contract.text import any_of

OBJECTS = Choice(("cube",))
"""The default of a factor that is an object."""


@dataclass(frozen=True, slots=True)
class Factor:
    """Something of a clip that a law decides."""

    name: str
    """As run files have it, in camelCase."""
    meaning: str
    """A noun phrase for people, with a capital and without a stop."""
    default: Law
    """The law of a run that says nothing. It never changes: clips do not record it."""
    unit: str = ""
    """Empty for a plain number."""
    least: float | None = None
    """The smallest value; of any renderer."""
    most: float | None = None
    """The largest value that the built-in renderer can make; one of the user's own may go beyond."""
    above: bool = False
    """Whether ``least`` itself is too small."""
    whole: bool = False
    """Whether only whole numbers make sense."""
    frames_after: int | None = None
    """How many frames have to follow the frame that its value names; None if it names none."""
    each: bool = False
    """Whether each further object, or push, has a value of its own; the others are those of the clip."""
    names: tuple[str, ...] = ()
    """What its values are, if they are names; none if they are numbers or objects."""
    look: bool = False
    """Whether what stands still looks different with another value: each one has a background of its own."""

    @property
    def is_object(self) -> bool:
        """Whether its values are names of objects: its law is the list ``objects`` of the run."""
        return isinstance(self.default, Choice) and self.default.is_of_names and not self.names

    def value(self, law: Law, u: float) -> Value:
        """Return the value for a uniform number ``u``, at least 0 and below 1."""
        if not self.whole:
            value: Value = law.at(u)
            return value
        return law.whole_at(u) if isinstance(law, Uniform) else int(law.at(u))

    def words(self, law: Law) -> str:
        """Return a law as people read it: ``mass 0.5-3 kg``, ``object cube or cone``."""
        return f"{self.name} {self.span(law)}"

    def span(self, law: Law) -> str:
        """Return the values of a law as people read them: ``0.5-3 kg``, ``cube or cone``."""
        if isinstance(law, Choice):
            values = any_of(value if isinstance(value, str) else f"{value:g}" for value in law.values)
        elif law.min < 0:
            values = f"{law.min:g} to {law.max:g}"
        else:
            values = f"{law.min:g}" if law.min == law.max else f"{law.min:g}-{law.max:g}"
        return f"{values}{f' {self.unit}' if self.unit else ''}{' (logarithmic)' if isinstance(law, Log) else ''}"

    def problem(self, law: Law, frames: int, *, own_renderer: bool = False) -> str | None:
        """Return what is wrong with a law in clips of so many frames, as ``found 2, expected 0 to 1``; else None."""
        if self.is_object:
            return None
        named = law.values if isinstance(law, Choice) and law.is_of_names else ()
        if self.names:
            odd = [value for value in named if value not in self.names]
            if named and (not odd or own_renderer):
                return None
            return f"found {odd[0] if odd else self.span(law)}, expected names: {any_of(self.names)}"
        if named:
            return f"found names, expected {self.bounds}"
        low, high = law.extremes
        too_small = self.least is not None and (low <= self.least if self.above else low < self.least)
        too_large = self.most is not None and high > self.most and not own_renderer
        if too_small or too_large:
            return f"found {_span(low, high)}, expected {self.bounds}"
        if self.frames_after is not None and high > (last := frames - 1 - self.frames_after):
            return (
                f"found {_span(low, high)}, expected {last} or less, so that {self.frames_after} of the {frames} frames"
                " comes after it"
            )
        if self.whole and (isinstance(law, Log) or not all(float(value).is_integer() for value in _numbers(law))):
            return f"found {self.span(law)}, expected whole numbers"
        return None

    @property
    def bounds(self) -> str:
        """What a value has to be, in words: ``0 to 1``, ``more than 0``."""
        if self.names:
            return any_of(self.names)
        unit = f" {self.unit}" if self.unit else ""
        if self.least is None:
            return "any number" if self.most is None else f"{self.most:g}{unit} or less"
        if self.most is None:
            return f"more than {self.least:g}{unit}" if self.above else f"{self.least:g}{unit} or more"
        return f"{'above ' if self.above else ''}{self.least:g} to {self.most:g}{unit}"


@dataclass(frozen=True)
class Declaration:
    """An experiment."""

    name: str
    meaning: str
    """One sentence: what happens."""
    factors: tuple[Factor, ...]
    """In the order in which a clip draws them, one number each. **New ones go to the end**: a factor that came between
    others would give every clip of every run other values."""

    @cached_property
    def by_name(self) -> Mapping[str, Factor]:
        """The factors by their names."""
        return {factor.name: factor for factor in self.factors}

    @cached_property
    def defaults(self) -> Mapping[str, Law]:
        """The law of each factor in a run that says nothing."""
        return {factor.name: factor.default for factor in self.factors}

    def object_factors(self) -> tuple[str, ...]:
        """Return the names of the factors that are objects."""
        return tuple(factor.name for factor in self.factors if factor.is_object)


def _numbers(law: Law) -> tuple[float, ...]:
    return tuple(float(v) for v in law.values if not isinstance(v, str)) if isinstance(law, Choice) else law.extremes


def _span(low: float, high: float) -> str:
    return f"{low:g}" if low == high else f"{low:g} to {high:g}"
