"""When encoders come and go: the rule as a table, and walked through time on a node that is too small for both."""

from dataclasses import dataclass, field, replace

import pytest

from clipfarm.decide import encoding as rule
from clipfarm.decide.admission import Held
from clipfarm.decide.plan import decide
from clipfarm.decide.rules.table import Reason
from clipfarm.world import EarlyEnd, Encoding, Moment, Running, Standing, Turn, World
from helpers.runs import NODE, make_run, make_world

RUN = make_run(clips=10, encode={"weights": {"source": "random"}, "replicas": 2})
ENCODE = RUN.spec.encode
NOW = 1000.0
CPU = "0/1 nodes are available: 1 Insufficient cpu."
TAINT = "0/3 nodes are available: 3 node(s) had untolerated taint {gpu: }."


def renderer(state: str = "Working", message: str = "", clip: int = 5) -> Running:
    reason = "Unschedulable" if message else ""
    return Running(clip, NODE, None, None, standing=Standing(state, 900.0, reason, message))


def world(
    *, done: int = 3, left: int | None = 0, asked: int = 2, answering: int = 2, rendered: int = 3, running=(), **turn
) -> World:
    encoding = Encoding(running=answering, encoded=done, asked=asked, answering=answering, left=left)
    return make_world(RUN, now=NOW, rendered=rendered, running=tuple(running), encoding=encoding, turn=Turn(**turn))


def unlisted(**fields) -> World:
    """A run of videos of which no encoder has reported how many clips they give."""
    made = world(done=0, rendered=0, left=None, answering=0, **fields)
    return replace(made, total=0, encoding=replace(made.encoding, listing=True))


def both(seconds: float) -> dict[str, float]:
    """Encoders have been idle, and renderers without room, for so long."""
    return {"idle_since": NOW - seconds, "waiting_since": NOW - seconds}


CROWDED = (renderer("Released", CPU),)
VRAM = (Held(Reason.VRAM_HIGH.hold("GPU 0 on here at 90 %"), (4,)),)

# what there is; held; whether rendering is finished; encoders that should be there
TABLE = {
    "videos are not listed yet": (unlisted(asked=0), (), True, 2),
    "they list videos": (unlisted(), (), True, 2),
    "they list videos for long": (unlisted(idle_since=NOW - 900), (), True, 2),
    "nothing is complete": (world(rendered=0, done=0, asked=0, left=None), (), False, 0),
    "the first clip is complete": (world(rendered=1, done=0, asked=0, left=None), (), False, 2),
    "all is encoded and they are away": (world(asked=0, left=None), (), False, 0),
    "they have work": (world(done=2, left=1), (), False, 2),
    "they see work that is not counted yet": (world(left=1), (), False, 2),
    "they were asked for and have not answered": (world(left=None, answering=0), (), True, 2),
    "they have just caught up": (world(), (), False, 2),
    "without work for some minutes": (world(idle_since=NOW - 299), (), False, 2),
    "without work for long": (world(idle_since=NOW - 300), (), False, 0),
    "the last clip is encoded": (world(), (), True, 0),
    "renderers find no room, for a moment": (world(running=CROWDED, **both(14)), (), False, 2),
    "renderers find no room": (world(running=CROWDED, **both(15)), (), False, 0),
    "renderers find no room just now, and they have long been idle": (
        world(running=CROWDED, idle_since=NOW - 200), (), False, 2
    ),
    "they are idle just now, and renderers have long found no room": (
        world(running=CROWDED, waiting_since=NOW - 200), (), False, 2
    ),
    "one renderer runs": (world(running=(*CROWDED, renderer()), **both(60)), (), False, 2),
    "one renderer pulls its image": (
        world(running=(*CROWDED, renderer("Starting")), **both(60)), (), False, 2
    ),
    "renderers wait for something else": (
        world(running=(renderer("Released", TAINT),), **both(60)), (), False, 2
    ),
    "the scheduler has not looked yet": (world(running=(renderer("Released"),), **both(60)), (), False, 2),
    "no room, and they have work": (world(done=2, left=1, running=CROWDED), (), False, 2),
    "no room, and they do not answer": (
        world(done=2, left=None, answering=0, running=CROWDED, blocked_since=NOW - 299), (), False, 2
    ),
    "no room, and they do not answer for long": (
        world(done=2, left=None, answering=0, running=CROWDED, blocked_since=NOW - 300), (), False, 0
    ),
    "no room, and they have not found a clip for a while": (
        world(done=2, running=CROWDED, done_since=NOW - 119, waiting_since=NOW - 119), (), False, 2
    ),
    "no room, and they have not found a clip for long": (
        world(done=2, running=CROWDED, done_since=NOW - 120, waiting_since=NOW - 120), (), False, 0
    ),
    "no room just now, and they have not found a clip for long": (
        world(done=2, running=CROWDED, done_since=NOW - 120, waiting_since=NOW - 14), (), False, 2
    ),
    "no room, and they have found a clip that was missing for long": (
        world(done=2, left=1, running=CROWDED, done_since=NOW - 500, waiting_since=NOW - 500), (), False, 2
    ),
    "no room, and they saw nothing to do before they fell silent": (
        world(done=2, answering=0, running=CROWDED, done_since=NOW - 500, waiting_since=NOW - 500), (), False, 2
    ),
    "there is room, and they have not found a clip for long": (world(done=2, done_since=NOW - 9000), (), False, 2),
    "the last clip is not found": (world(done=2, done_since=NOW - 9000), (), True, 2),
    "GPU memory holds all renderers": (world(**both(89)), VRAM, False, 2),
    "GPU memory holds all renderers for long": (world(**both(90)), VRAM, False, 0),
    "GPU memory holds some": (world(running=(renderer(),), **both(90)), VRAM, False, 2),
    "they have just made room": (world(done=2, asked=0, left=None, made_room_at=NOW - 599), (), False, 0),
    "they made room long ago": (world(done=2, asked=0, left=None, made_room_at=NOW - 600), (), False, 2),
    "they made room, and rendering is done": (world(done=2, asked=0, left=None, made_room_at=NOW - 9), (), True, 2),
}  # fmt: skip


@pytest.mark.parametrize("case", TABLE)
def test_encoders_that_should_be_there(case):
    snapshot, held, finished, expected = TABLE[case]
    assert rule.scale(ENCODE, snapshot, held, finished=finished)[0] == expected


def test_encoders_that_leave_for_renderers_are_remembered_to_have_done_so_and_others_are_not():
    _, turn = rule.scale(ENCODE, world(running=CROWDED, **both(15)), (), finished=False)
    assert turn.made_room_at == NOW
    _, turn = rule.scale(ENCODE, world(idle_since=NOW - 300), (), finished=False)
    assert turn.made_room_at is None


def test_neither_a_disabled_nor_a_stuck_encoder_is_asked_for():
    behind = world(done=1, left=2)
    assert rule.scale(make_run(10).spec.encode, behind, (), finished=True)[0] == 0
    stuck = replace(behind, encoding=replace(behind.encoding, early_ends=(EarlyEnd(2, "no weights"),)))
    assert rule.scale(ENCODE, stuck, (), finished=True)[0] == 0


def test_clips_that_are_not_found_fail_after_a_while_and_stay_failed():
    seen = world(done=8, rendered=10, left=0)
    gone = replace(seen, waiting=(), encoding=replace(seen.encoding, vanished=dict.fromkeys((3, 4), "gone")))
    for seconds, phase in ((0, "Encoding"), (119, "Encoding"), (120, "Encoding"), (121, "CompletedWithFailures")):
        plan = decide(RUN, replace(gone, moment=Moment(NOW + seconds, 0.0)))
        assert plan.status.phase == phase, seconds
        gone = replace(gone, turn=plan.turn)
    assert [(each.clip, each.stage, each.reason) for each in plan.status.failures] == [
        (3, "encode", "gone"), (4, "encode", "gone")
    ]  # fmt: skip
    assert plan.encoders == 0
    away = replace(gone, encoding=replace(gone.encoding, asked=0, answering=0, vanished={}), turn=plan.turn)
    assert decide(RUN, away).status.phase == "CompletedWithFailures"


def test_clips_that_are_found_at_the_next_look_were_never_gone():
    seen = world(done=8, rendered=10, left=0, missing_since=NOW - 100)
    plan = decide(RUN, replace(seen, waiting=()))
    assert (plan.turn.missing_since, plan.turn.gone) == (None, {})


RENDER_SECONDS, LOAD_SECONDS, ENCODE_SECONDS = 60, 30, 10


@dataclass
class SmallNode:
    """A node with room for so many CPUs' worth of pods, and a scheduler that serves one kind of pod first."""

    room: float
    encoder_takes: float
    first: str
    clips: int
    load_seconds: float = LOAD_SECONDS
    removed: int = 0
    """Complete clips whose folders somebody has removed."""
    now: float = 0.0
    rendered: int = 0
    encoded: int = 0
    asked: int = 0
    starts: int = 0
    renderer_since: float | None = None
    """When the one renderer was admitted."""
    renderer_placed: float | None = None
    encoder_since: float | None = None
    encoder_placed: float | None = None
    encodes_since: float | None = None
    turn: Turn = field(default_factory=Turn)

    def step(self) -> str:
        """Let a second pass; return the run's phase."""
        self._work()
        for kind in ("renderer", "encoder") if self.first == "renderer" else ("encoder", "renderer"):
            self._schedule(kind)
        run = make_run(self.clips, workers=1, encode={"weights": {"source": "random"}})
        plan = decide(run, self._world(run))
        self.turn = plan.turn
        if plan.start:
            self.renderer_since, self.renderer_placed = self.now, None
        if plan.encoders and not self.asked:
            self.encoder_since, self.encoder_placed = self.now, None
        if not plan.encoders:
            self.encoder_since = self.encoder_placed = self.encodes_since = None
        self.asked = plan.encoders
        self.now += 1
        return plan.status.phase

    def _work(self) -> None:
        if self.renderer_placed is not None and self.now - self.renderer_placed >= RENDER_SECONDS:
            self.renderer_since = self.renderer_placed = None
            self.rendered += 1
        if not self._answers or self.encoded >= self.rendered - self.removed:
            self.encodes_since = None
        elif self.encodes_since is None:
            self.encodes_since = self.now
        elif self.now - self.encodes_since >= ENCODE_SECONDS:
            self.encoded, self.encodes_since = self.encoded + 1, None

    @property
    def _answers(self) -> bool:
        return self.encoder_placed is not None and self.now - self.encoder_placed >= self.load_seconds

    def _schedule(self, kind: str) -> None:
        if getattr(self, f"{kind}_since") is None or getattr(self, f"{kind}_placed") is not None:
            return
        used = (self.renderer_placed is not None) + (self.encoder_placed is not None) * self.encoder_takes
        if used + (1.0 if kind == "renderer" else self.encoder_takes) <= self.room:
            setattr(self, f"{kind}_placed", self.now)
            self.starts += kind == "encoder"

    def _world(self, run) -> World:
        running = ()
        if self.renderer_since is not None:
            placed = self.renderer_placed is not None
            running = (renderer("Working" if placed else "Released", "" if placed else CPU, self.rendered),)
        waiting = tuple(range(self.rendered + len(running), self.clips))
        answering = int(self._answers)
        encoding = Encoding(
            running=answering, encoded=self.encoded, asked=self.asked, answering=answering,
            left=max(0, self.rendered - self.removed - self.encoded) if answering else None,
        )  # fmt: skip
        fields = {"now": self.now, "rendered": self.rendered, "waiting": waiting, "running": running}
        return make_world(run, **fields, encoding=encoding, turn=self.turn)


def walk(node: SmallNode, limit: float) -> SmallNode:
    while node.step() != "Succeeded":
        assert node.now < limit, f"a standstill: {node}"
    return node


@pytest.mark.parametrize("first", ["renderer", "encoder"])
@pytest.mark.parametrize("clips", [1, 3, 40])
def test_on_a_node_with_room_for_one_of_them_a_run_ends_and_few_models_are_loaded(clips, first):
    alone = clips * (RENDER_SECONDS + ENCODE_SECONDS)
    node = walk(SmallNode(1.9, 1.0, first, clips), limit=1.3 * alone + 200)
    assert node.encoded == clips
    assert node.starts <= 2 + node.now / rule.AWAY_SECONDS


@pytest.mark.parametrize("first", ["renderer", "encoder"])
def test_on_a_node_with_room_for_both_one_encoder_stays_to_the_end(first):
    node = walk(SmallNode(1.9, 0.5, first, 40), limit=40 * RENDER_SECONDS + 200)
    assert node.starts == 1


@pytest.mark.parametrize("first", ["renderer", "encoder"])
def test_an_encoder_that_never_gets_ready_does_not_keep_clips_from_being_rendered(first):
    node = SmallNode(1.9, 1.0, first, 5, load_seconds=float("inf"))
    while node.rendered < 5:
        node.step()
        assert node.now < 5 * RENDER_SECONDS + 2 * rule.START_SECONDS, f"a standstill: {node}"


@pytest.mark.parametrize("first", ["renderer", "encoder"])
def test_a_complete_clip_that_was_removed_does_not_keep_clips_from_being_rendered(first):
    node = SmallNode(1.9, 1.0, first, 20, removed=1)
    while node.rendered < 20:
        node.step()
        assert node.now < 20 * RENDER_SECONDS + 6 * rule.AWAY_SECONDS, f"a standstill: {node}"
    assert node.encoded > 0


def test_an_encoder_that_catches_up_before_each_clip_is_started_once():
    node = SmallNode(4.0, 1.0, "encoder", 20, load_seconds=0)
    walk(node, limit=20 * RENDER_SECONDS + 100)
    assert node.starts == 1
