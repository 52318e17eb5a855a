"""The table of all rules. A rule that is not listed here is never asked."""

from enum import StrEnum
from typing import Self

from clipfarm.decide.rules import (
    fair_share,
    fatal,
    no_node,
    node_kind,
    nodes_full,
    retry_delay,
    storage_full,
    suspended,
    vram_claims,
    vram_high,
    vram_too_small,
    vram_unknown,
    workers_busy,
)
from clipfarm.decide.rules.rule import ClipRule, Hold, PlaceRule, Rule
from clipfarm.decide.rules.subjects import Candidate, Situation
from clipfarm.decide.vram.place import Place


class _Ruled:
    rule: Rule


class Reason(_Ruled, StrEnum):
    """Every rule's reason, in the order in which rules are asked: the first rule that holds decides."""

    FATAL = fatal.RULE
    SUSPENDED = suspended.RULE
    RETRY_DELAY = retry_delay.RULE
    WORKERS_BUSY = workers_busy.RULE
    STORAGE_FULL = storage_full.RULE
    NODE_KIND = node_kind.RULE
    NODES_FULL = nodes_full.RULE
    VRAM_UNKNOWN = vram_unknown.RULE
    VRAM_HIGH = vram_high.RULE
    VRAM_TOO_SMALL = vram_too_small.RULE
    VRAM_CLAIMS = vram_claims.RULE
    FAIR_SHARE = fair_share.RULE
    NO_NODE = no_node.RULE

    def __new__(cls, rule: Rule) -> Self:
        """Make a member whose value is the rule's word."""
        member = str.__new__(cls, rule.word)
        member._value_ = rule.word
        member.rule = rule
        return member

    def hold(self, message: str, until: float | None = None) -> Hold:
        """Return a hold for this reason."""
        rule = self.rule
        return Hold(self, message, rule.more_nodes_help, rule.frees_worker, rule.about_vram, until)


class RuleOptions(suspended.Options, fair_share.Options):
    """Fields of a run's spec that rules bring: a rule's ``Options`` are listed among the bases."""


CLIP_RULES = tuple((reason, reason.rule) for reason in Reason if isinstance(reason.rule, ClipRule))
PLACE_RULES = tuple((reason, reason.rule) for reason in Reason if isinstance(reason.rule, PlaceRule))


def hold_of_clip(candidate: Candidate, situation: Situation) -> Hold | None:
    """Return why a clip does not start anywhere, by the first rule that holds it; None if it may."""
    for reason, rule in CLIP_RULES:
        message = rule.holds(candidate, situation)
        if message is not None:
            return reason.hold(message, rule.until(candidate, situation))
    return None


def why_taken_back(situation: Situation) -> str:
    """Return why pods without a node go back behind their gates, by the first rule that takes them back; else empty."""
    whys = (rule.takes_back(situation) for _, rule in CLIP_RULES)
    return next((why for why in whys if why is not None), "")


def hold_of_place(place: Place, situation: Situation) -> Hold | None:
    """Return why no clip starts at a place, by the first rule that holds; None if one may."""
    for reason, rule in PLACE_RULES:
        message = rule.holds(place, situation)
        if message is not None:
            return reason.hold(message)
    return None
