"""From what watches have brought to a snapshot, and from a status to what people see of it."""

from dataclasses import replace
from typing import Any

import pytest

from clipfarm.cluster.acting.changes import changes
from clipfarm.cluster.acting.reports import REPORTED_SECONDS
from clipfarm.cluster.api.endings import FailedPod
from clipfarm.cluster.api.nodes import NodeView, fits
from clipfarm.cluster.api.pod_states import Reported
from clipfarm.cluster.api.pod_views import EncoderPod, PodView
from clipfarm.cluster.api.store import Store
from clipfarm.cluster.api.times import api_time, unix_time
from clipfarm.cluster.api.views import DeploymentView, JobView, ReplicaSetView
from clipfarm.cluster.observing.asked import Asked
from clipfarm.cluster.observing.look import look
from clipfarm.cluster.observing.observe import observe
from clipfarm.cluster.observing.own import own_encoders, own_objects
from clipfarm.cluster.observing.seen import Seen
from clipfarm.cluster.observing.tracked import Tracked
from clipfarm.cluster.observing.work import Refusal
from clipfarm.cluster.process.decided import decided
from clipfarm.cluster.process.encoders import Progress, follow
from clipfarm.cluster.reporting.clips import clips_held
from clipfarm.cluster.reporting.events import notices
from clipfarm.cluster.reporting.status import run_status
from clipfarm.cluster.reporting.summary import OLD_SECONDS
from clipfarm.cluster.reporting.writing import COSMETIC_SECONDS, HEARTBEAT_SECONDS, write_due
from clipfarm.cluster.vram.gpus import Gpus
from clipfarm.decide.plan import decide
from clipfarm.decide.retry import STARVED
from clipfarm.manifests import encoder, run_files
from clipfarm.manifests.common import Images, Owner
from clipfarm.pod_options import PodOptions
from clipfarm.world import EarlyEnd, GpuId, Holder, Reading, WatermarkState
from clipfarm_contract.exit_codes import ExitCode
from clipfarm_contract.indexes import Indexes
from clipfarm_contract.objects import QUEUE_LABEL
from helpers.runs import make_run

KEY = ("ns", "test")
NOW, WALL = 1000.0, 1_800_000_000.0
ENCODES = {"encode": {"weights": {"source": "random"}}}
TEMPLATE, ASKED = (f"/metadata/annotations/clipfarm.dev~1{name}" for name in ("template", "encode-spec"))


class Scene:
    """A run in a cluster, as far as it was told of."""

    def __init__(self, clips: int = 10, *, labels: dict[str, str] | None = None, only: str = "", **spec: Any) -> None:
        self.store = Store()
        self.gpus = Gpus()
        base: dict[str, Any] = {"workers": 3, "storage": {"size": "1Gi"}}
        run = make_run(clips, **(base | spec))
        self.tracked = Tracked(Asked(run, Owner("ns", "run-1", labels or {}, only), 1), {})
        self.tracked.answers.claim = "Bound"
        self.store.nodes.put("n", NodeView("node-1", 8, 0, {}, (), True))

    def job(self, *, uid: str = "job-1", owner: str = "run-1", parallelism: int = 6, **fields: Any) -> "Scene":
        completed, failed = (Indexes.parse(fields.pop(name, "")) for name in ("completed", "failed"))
        rest = {"suspended": False, "deleting": False, "attempt": ""} | fields
        self.store.jobs.put(uid, JobView(KEY, uid, owner, parallelism, completed=completed, failed=failed, **rest))
        return self

    def pod(self, index: int, *, gate: int | None = None, owner: str = "job-1", uid: str = "") -> str:
        uid = uid or f"pod-{index}"
        self.store.pods.put(uid, PodView(f"name-{index}", uid, KEY, owner, index, gate, "", None))
        return uid

    def failed(self, index: int, code: ExitCode = ExitCode.OUT_OF_VRAM, **fields: Any) -> None:
        rest: dict[str, Any] = {"owner": "job-1", "attempts": 1, "disrupted": False, "ended": WALL, "reason": "why"}
        rest |= fields
        uid = f"failed-{index}-{rest['attempts']}-{rest['disrupted']}"
        self.store.failed.put(uid, FailedPod(uid, KEY, index=index, exit_code=code, **rest))

    def deployment(self, replicas: int = 1, template: str = "", owner: str = "run-1", asked: str | None = None) -> None:
        if asked is None:
            asked = encoder.asked(self.tracked.run, self.tracked.owner)
        self.store.deployments.put("d", DeploymentView(KEY, "d", owner, replicas, template, asked))

    def encoder(self, reported: Reported, *, ready: bool = False, **fields: Any) -> None:
        if not self.store.deployments.of(KEY):
            self.deployment()
        self.store.replica_sets.put("set-1", ReplicaSetView(KEY, "set-1", "d"))
        view = EncoderPod("e", "e", KEY, "set-1", "", 0, None, reported, "node-1", ready)
        self.store.encoders.put("e", replace(view, **fields))

    def look(self, now: float = NOW, wall: float = WALL) -> Any:
        return look(self.tracked, Seen(self.store, self.gpus, now, wall))

    def decide(self) -> None:
        """One look, and what is remembered once it is decided what to do."""
        plan = decide(self.tracked.run, self.look())
        self.tracked.memory = decided(self.tracked, plan, NOW)

    def status(self, now: float = NOW) -> dict[str, Any]:
        world = self.look(now)
        plan = decide(self.tracked.run, world)
        return run_status(self.tracked, world, plan, WALL)

    def changes(self, now: float = NOW) -> dict[tuple[str, str], Any]:
        world, seen = self.look(now), Seen(self.store, self.gpus, now, WALL + now - NOW)
        plan = decide(self.tracked.run, world)
        found = changes(plan, self.tracked, seen, Images())
        return {(change.verb, change.kind): change.body for change in found}


def test_what_is_worked_out_of_a_look_changes_nothing_of_the_run():
    scene = Scene(workers=2, **ENCODES).job(completed="0", failed="1", parallelism=9)
    scene.pod(2)
    scene.pod(3, gate=0)
    scene.failed(1, ExitCode.FAILED)
    scene.encoder(Reported("Starting"))
    scene.look()
    scene.store.pods.drop("pod-2")
    seen = Seen(scene.store, scene.gpus, NOW + 60, WALL + 60)
    before = repr(scene.tracked)
    own = own_objects(scene.tracked.asked, seen.store)
    world, memory = observe(scene.tracked, own, seen)
    assert (world, memory) == observe(scene.tracked, own, seen)
    assert memory != scene.tracked.memory, "there is something new to be remembered"
    plan = decide(scene.tracked.run, world)
    for _ in range(2):
        decided(scene.tracked, plan, NOW + 60)
        changes(plan, scene.tracked, seen, Images())
        run_status(scene.tracked, world, plan, WALL + 60)
    assert repr(scene.tracked) == before


class TestPods:
    def test_those_at_their_gates_wait_and_the_others_are_at_work(self):
        scene = Scene().job(completed="0-2")
        scene.pod(3)
        scene.pod(5, gate=0)
        scene.pod(4, gate=0)
        world = scene.look()
        assert (world.rendered, world.waiting) == (3, (4, 5))
        assert [pod.index for pod in world.running] == [3]

    def test_one_whose_gate_is_being_taken_off_counts_as_running_until_a_watch_shows_it(self):
        scene = Scene().job()
        uid = scene.pod(0, gate=0)
        scene.look()
        scene.tracked.releases.released[uid] = ""
        assert [pod.index for pod in scene.look().running] == [0]
        assert scene.tracked.releases.released == {uid: ""}
        scene.pod(0)
        assert [pod.index for pod in scene.look().running] == [0]
        assert scene.tracked.releases.released == {}

    def test_one_whose_release_was_refused_is_forgotten_when_it_is_gone_or_off_its_gate(self):
        for end in ("gone", "off its gate"):
            scene = Scene().job()
            uid = scene.pod(0, gate=0)
            scene.look()
            scene.tracked.releases.refused[uid] = Refusal("refused", 1, 0.0)
            scene.look()
            assert scene.tracked.error == "refused"
            scene.store.pods.drop(uid) if end == "gone" else scene.pod(0)
            scene.look()
            assert scene.tracked.error == ""

    def test_one_whose_release_was_refused_is_not_in_the_way_of_others_until_it_is_due_again(self):
        scene = Scene(workers=1).job(parallelism=1)
        uid = scene.pod(0, gate=0)
        scene.look()
        scene.tracked.releases.refused[uid] = Refusal("refused", 1, NOW + 5)
        assert (scene.look().waiting, scene.look().unmade) == ((), (1,)), "another pod is wanted in its place"
        assert scene.changes() == {("patch", "Job"): {"spec": {"parallelism": 2}}}
        scene.pod(1, gate=0)
        assert (scene.look().waiting, scene.look().unmade) == ((1,), ())
        assert scene.look(NOW + 5).waiting == (0, 1)

    def test_those_of_another_job_or_an_earlier_run_do_not_count(self):
        scene = Scene().job()
        scene.pod(0, owner="job-0")
        scene.failed(1, owner="job-0")
        assert (scene.look().running, scene.look().ended) == ((), ())
        earlier = Scene().job(owner="run-0", completed="0-9")
        assert earlier.look().rendered == 0
        leaving = Scene().job(deleting=True, completed="0-9")
        assert leaving.look().rendered == 0


class TestFailedPods:
    def test_one_that_may_be_tried_again_counts_when_its_next_pod_is_at_the_gate(self):
        scene = Scene().job()
        scene.failed(2)
        assert scene.look().ended == ()
        scene.pod(2, gate=0, uid="second")
        [ended] = scene.look().ended
        assert (ended.index, ended.exit_code, ended.attempts, ended.final) == (2, ExitCode.OUT_OF_VRAM, 1, False)
        assert scene.look().waiting == ()
        assert scene.status()["retried"] == 1
        assert scene.look().ran_out_before == {2}
        scene.pod(2, uid="second")
        assert scene.look().ended == ()
        assert scene.look().ran_out_before == {2}, "while it runs, too"

    @pytest.mark.parametrize(
        ("code", "attempts"), [(ExitCode.FAILED, 1), (ExitCode.USAGE, 1), (ExitCode.OUT_OF_VRAM, 2)]
    )
    def test_what_the_job_will_give_up_is_given_up_at_once(self, code, attempts):
        scene = Scene().job()
        scene.failed(2, code, attempts=attempts)
        [ended] = scene.look().ended
        assert (ended.index, ended.final) == (2, True)

    def test_of_an_index_that_the_job_gave_up_the_reason_stays_when_its_pod_is_gone(self):
        scene = Scene().job()
        scene.failed(2, ExitCode.FAILED)
        assert scene.look().ended[0].reason == "why"
        scene.job(failed="2")
        scene.store.failed.drop("failed-2-1-False")
        assert scene.look().ended[0].reason == "why"
        never_seen = Scene().job(failed="2")
        [ended] = never_seen.look().ended
        assert (ended.final, "its pod is gone" in ended.reason) == (True, True)

    def test_one_that_was_evicted_is_no_attempt(self):
        scene = Scene().job()
        scene.failed(2, disrupted=True)
        scene.pod(2, gate=0, uid="second")
        assert (scene.look().ended, scene.look().waiting) == ((), (2,))

    def test_the_delay_of_a_retry_runs_on_this_process_own_clock(self):
        scene = Scene().job()
        scene.look(now=900.0)
        scene.failed(2, ended=WALL + 3600)  # the pods' clock is an hour ahead, or this one was set back
        scene.pod(2, gate=0, uid="second")
        assert scene.look(now=1000.0).ended[0].at == 1000.0
        assert scene.look(now=1010.0, wall=WALL - 5000).ended[0].at == 1000.0

    def test_after_a_restart_the_delay_counts_from_when_the_pod_ended(self):
        scene = Scene().job()
        scene.failed(2, ended=WALL - 20)
        scene.pod(2, gate=0, uid="second")
        assert scene.look(now=1000.0).ended[0].at == 980.0
        ahead = Scene().job()
        ahead.failed(2, ended=WALL + 20)
        ahead.pod(2, gate=0, uid="second")
        assert ahead.look(now=1000.0).ended[0].at == 1000.0


class TestBlocks:
    def test_their_clips_are_counted_one_by_one(self):
        scene = Scene(10, render={"clipsPerPod": 3}).job(completed="0,3", failed="1")
        scene.failed(1, ExitCode.FAILED, clips=((4, "black"),), done=2)
        status = scene.status()
        assert (status["total"], status["rendered"], status["failed"]) == (10, 6, 1)
        assert status["failures"] == [{"clips": "4", "stage": "render", "reason": "black"}]

    def test_of_one_that_only_counts_the_whole_block_is_named(self):
        scene = Scene(10, render={"clipsPerPod": 3}).job(failed="1")
        scene.failed(1, ExitCode.FAILED, done=2)
        status = scene.status()
        assert (status["rendered"], status["failed"]) == (2, 1)
        assert status["failures"] == [{"clips": "3-5", "stage": "render", "reason": "why"}]

    def test_they_are_those_of_the_job_whatever_another_version_would_choose(self):
        scene = Scene(10, render={"clipsPerPod": 1}).job(clips_per_pod=4, completed="0-1", failed="2")
        scene.failed(2, ExitCode.FAILED, clips=((9, "black"),), done=1)
        assert (scene.look().total, scene.look().block) == (3, 4)
        status = scene.status()
        assert (status["phase"], status["rendered"], status["failed"]) == ("CompletedWithFailures", 9, 1)
        assert status["failures"] == [{"clips": "9", "stage": "render", "reason": "black"}]

    def test_an_unfinished_run_does_not_succeed_if_its_job_has_fewer_indexes_than_it_would_get(self):
        scene = Scene(10, render={"clipsPerPod": 5}).job(clips_per_pod=1, completed="0-1")
        status = scene.status()
        assert (status["phase"], status["rendered"]) == ("Running", 2)

    def test_clips_of_an_earlier_job_count_where_only_some_are_left(self):
        scene = Scene(10, only="3,7").job(completed="0")
        assert (scene.look().total, scene.look().complete_clips) == (2, 9)
        status = scene.status()
        assert (status["total"], status["rendered"]) == (10, 9)


def test_what_is_slow_is_said_by_node_once_and_survives_a_restart():
    scene = Scene(render={"device": "cuda"}).job()
    before = scene.status()
    assert "slow" not in before or not before["slow"]
    scene.tracked.answers.slow |= {"node-2": ("no kernels", "no MPS"), "node-1": ("no kernels",)}
    status = scene.status()
    assert status["slow"] == [
        {"nodes": ["node-2"], "message": "no MPS"},
        {"nodes": ["node-1", "node-2"], "message": "no kernels"},
    ]
    said = [notice for notice in notices(before, status) if notice.reason == "Slow"]
    assert [(each.kind, each.message) for each in said] == [("Normal", "node-2: no MPS; node-1: no kernels")]
    assert not [notice for notice in notices(status, status) if notice.reason == "Slow"]
    again = Tracked(Asked(scene.tracked.run, scene.tracked.owner, 1), status)
    assert again.answers.slow == {"node-1": ("no kernels",), "node-2": ("no MPS", "no kernels")}


class TestChanges:
    def test_a_new_run_gets_its_claim_and_its_job(self):
        scene = Scene()
        scene.tracked.answers.claim = None
        found = scene.changes()
        assert set(found) == {("create", "PersistentVolumeClaim"), ("create", "Job")}
        assert found["create", "Job"]["spec"]["parallelism"] == 3

    def test_what_pods_read_is_there_before_their_job_and_that_of_earlier_attempts_goes(self):
        for attempt in ("", "2"):
            scene = Scene(only="3,7" if attempt else "")
            scene.tracked.asked = replace(scene.tracked.asked, owner=replace(scene.tracked.owner, attempt=attempt))
            world = scene.look()
            found = changes(
                decide(scene.tracked.run, world), scene.tracked, Seen(scene.store, scene.gpus, NOW, WALL), Images()
            )
            assert [(each.verb, each.kind) for each in found] == [
                *([("clear", "ConfigMaps")] if attempt else []),
                ("create", "Job"),
            ]
            needed = found[-1].needs
            assert needed is not None
            assert needed.body == run_files.config_map(scene.tracked.run, scene.tracked.owner)
            scene.tracked.work.made["Job"] = NOW
            assert scene.changes() == {}

    def test_what_pods_read_is_made_again_if_a_kubelet_does_not_find_it(self):
        scene = Scene().job()
        name = run_files.of(scene.tracked.run, scene.tracked.owner).name
        for missing, made in (("of the user's", {}), (name, {("create", "ConfigMap")})):
            message = f'configmap "{missing}" not found'
            uid = scene.pod(0)
            stands = Reported("Starting", None, "CreateContainerConfigError", message)
            scene.store.pods.put(uid, replace(scene.store.pods.of(KEY)[uid], reported=stands))
            assert set(scene.changes()) == set(made)

    def test_a_claim_can_be_mounted_by_many_nodes_or_as_the_run_says(self):
        for mode in ("ReadWriteMany", "ReadWriteOnce"):
            scene = Scene(storage={"size": "1Gi", "accessMode": mode})
            scene.tracked.answers.claim = None
            assert scene.changes()["create", "PersistentVolumeClaim"]["spec"]["accessModes"] == [mode]

    def test_what_was_made_just_now_is_not_made_again(self):
        scene = Scene()
        scene.tracked.work.made["Job"] = NOW - 5
        assert scene.changes() == {}
        assert ("create", "Job") in scene.changes(NOW + 60)

    def test_nothing_is_made_while_a_job_of_that_name_is_there(self):
        assert Scene().job(owner="run-0").changes() == {}
        assert Scene().job(deleting=True).changes() == {}

    def test_a_run_that_failed_as_a_whole_leaves_no_pod_at_its_gate(self):
        scene = Scene().job(failed="0")
        scene.failed(0, ExitCode.USAGE)
        scene.pod(1, gate=0)
        assert scene.changes() == {("patch", "Job"): {"spec": {"parallelism": 0}}}

    def test_encoders_come_with_the_first_clip_and_go_after_the_last(self):
        scene = Scene(2, **ENCODES).job()
        assert scene.changes() == {}
        scene.job(completed="0")
        made = scene.changes()["create", "Deployment"]
        assert made["spec"]["replicas"] == 1
        annotations = made["metadata"]["annotations"]
        scene.deployment(asked=annotations["clipfarm.dev/encode-spec"])
        assert scene.changes() == {}
        scene.job(completed="0-1")
        scene.tracked.encoding.encoded = 2
        assert scene.changes() == {}, "they have not said that nothing is left"
        scene.tracked.encoding.left = 0
        assert scene.changes() == {("patch", "Deployment"): [{"op": "add", "path": "/spec/replicas", "value": 0}]}

    @pytest.mark.parametrize(
        ("asked", "seen", "paths"),
        [
            # Another operator may have made another template of it: what is asked for decides.
            ("the same", 1, []),
            ("of yesterday", 1, ["/spec/template", TEMPLATE, ASKED]),
            # Made by an operator that kept no such note: it had seen the run as it is, or had not.
            ("", 1, [ASKED]),
            ("", 0, ["/spec/template", TEMPLATE, ASKED]),
        ],
    )
    def test_encoders_are_made_anew_when_the_run_asks_for_others_and_not_before(self, asked, seen, paths):
        scene = Scene(2, **ENCODES).job(completed="0")
        scene.tracked.status["observedGeneration"] = seen
        scene.deployment(template="of another version", asked=None if asked == "the same" else asked)
        patch = scene.changes().get(("patch", "Deployment"), [])
        assert [each["path"] for each in patch] == paths

    @pytest.mark.parametrize("asked", ["", "anything"])
    def test_a_run_that_encodes_no_more_has_its_encoders_go_whoever_made_them(self, asked):
        scene = Scene(2).job(completed="0")
        scene.deployment(asked=asked)
        assert scene.changes() == {("patch", "Deployment"): [{"op": "add", "path": "/spec/replicas", "value": 0}]}

    @pytest.mark.parametrize(
        ("age", "reports", "made"),
        [
            (0, [], {("create", "report Job")}),
            (REPORTED_SECONDS - 1, [], {("create", "report Job")}),
            (REPORTED_SECONDS, [], set()),
            (30 * 86400, [], set()),
            (-60, [], {("create", "report Job")}),  # written by an operator whose clock is ahead
            (REPORTED_SECONDS - 1, ["1.1"], set()),
            (REPORTED_SECONDS - 1, ["1.0"], {("delete", "report Job")}),
        ],
    )
    def test_an_operator_that_starts_makes_the_reports_of_runs_that_ended_not_long_ago(self, age, reports, made):
        scene = Scene(2).job(completed="0-1")
        status = scene.status() | {"completionTime": api_time(WALL - age)}
        scene.tracked = Tracked(Asked(scene.tracked.run, scene.tracked.owner, 1), status)
        scene.tracked.answers.claim = "Bound"
        for attempt in reports:
            view = JobView(KEY, "r", "run-1", 1, False, False, attempt, Indexes(), Indexes(), True)
            scene.store.reports.put("r", view)
        assert {change for change in scene.changes() if change[1] == "report Job"} == made

    def test_a_job_and_encoders_that_nobody_owns_are_not_waited_for(self):
        scene = Scene(2, **ENCODES)
        scene.job(owner="", uid="orphan")
        scene.deployment(owner="")
        assert ("create", "Job") in scene.changes()
        scene.job(completed="0")
        assert ("create", "Deployment") in scene.changes()

    def test_encoders_of_an_earlier_run_have_to_go_first(self):
        scene = Scene(2, **ENCODES).job(completed="0")
        scene.deployment(owner="run-0")
        assert scene.changes() == {}


class TestOwners:
    """A label only helps to find an object; whose it is says the chain of owners' UIDs."""

    @pytest.mark.parametrize(
        ("pod", "replica_set", "deployment", "counts"),
        [
            ("set-1", "d", "run-1", True),
            ("", "d", "run-1", False),  # made by hand, with the labels of the run's encoders
            ("another", "d", "run-1", False),
            ("set-1", "another", "run-1", False),
            ("set-1", "d", "run-0", False),
        ],
    )
    def test_an_encoder_is_the_runs_by_its_replica_set_and_deployment(self, pod, replica_set, deployment, counts):
        scene = Scene(2, **ENCODES).job()
        scene.deployment(owner=deployment)
        scene.encoder(Reported("Working"), ready=True, owner=pod)
        scene.store.replica_sets.put("set-1", ReplicaSetView(KEY, "set-1", replica_set))
        assert (len(own_encoders(scene.tracked.asked, scene.store)), scene.look().encoding.running) == (counts, counts)

    @pytest.mark.parametrize("index", [10, 10**8])
    def test_a_pod_of_an_index_that_its_job_does_not_have_is_none(self, index):
        scene = Scene(10).job()
        scene.pod(index, gate=0)
        scene.failed(index, ExitCode.FAILED)
        world = scene.look()
        assert (world.waiting, world.ended) == ((), ())

    def test_a_job_whose_status_names_indexes_that_it_does_not_have_has_none_of_them(self):
        world = Scene(10).job(completed="3,10-999999999999", failed="7-999999999999").look()
        assert (world.rendered, [end.index for end in world.ended]) == (1, [7, 8, 9])


class TestEncoders:
    def told(self, *answers: Progress, clips: int = 10, restarts: int = 0, last: EarlyEnd | None = None, **scene: Any):
        made = Scene(clips, **(ENCODES | scene))
        pods = [EncoderPod("e", "e", KEY, "run-1", "10.0.0.1", restarts, last)]
        if restarts:
            follow(made.tracked, [EncoderPod("e", "e", KEY, "run-1", "10.0.0.1", 0, None)], [], "no route", NOW)
        changed = follow(made.tracked, pods, list(answers), "no route", NOW)
        return made.tracked.encoding, changed, made

    def test_the_one_that_has_seen_most_is_right(self):
        encoding, changed, _ = self.told(Progress(3, {}), Progress(5, {}))
        assert (encoding.encoded, changed) == (5, True)

    def test_silence_changes_no_number_and_is_said(self):
        encoding, changed, scene = self.told()
        assert (encoding.encoded, changed) == (0, True)
        scene.job(completed="0")
        scene.encoder(Reported("Working"), ready=True)
        [condition] = [each for each in scene.status()["conditions"] if each["type"] == "EncoderReady"]
        assert condition["message"] == "the encoder does not report its progress: no route"

    def test_a_clip_has_failed_when_it_has_failed_for_all_of_them(self):
        encoding, _, _ = self.told(
            Progress(3, {1: "black", 2: "torn"}), Progress(3, {2: "torn", 4: "its disk was full"})
        )
        assert encoding.failed == {2: "torn"}

    def test_features_that_are_not_there_any_more_are_not_counted_any_more(self):
        encoding, _, scene = self.told(Progress(5, {}))
        follow(scene.tracked, [], [Progress(3, {}, left=2)], "", NOW + 1)
        assert (encoding.encoded, encoding.left) == (3, 2)

    def test_a_clip_is_absent_if_none_of_them_finds_it_and_waits_if_one_of_them_has_it_to_do(self):
        answers = [Progress(3, {}, 0, Indexes.parse("3-9")), Progress(2, {}, 1, Indexes.parse("2,4-9"))]
        encoding, _, _ = self.told(*answers)
        assert (str(encoding.absent), encoding.left) == ("4-9", 1)

    @pytest.mark.parametrize(
        ("completed", "told", "vanished"),
        [
            ("0-8", Progress(9, {}, 0, Indexes.parse("9")), []),  # not rendered yet
            ("0-9", Progress(10, {}, 0), []),
            ("0-9", Progress(8, {}, 1, Indexes.parse("3")), []),  # one is at work on: it may have looked before
            ("0-9", Progress(8, {}, 0, Indexes.parse("3-4")), [3, 4]),
        ],
    )
    def test_what_encoders_do_not_find_of_what_was_complete_has_vanished(self, completed, told, vanished):
        _, _, scene = self.told(told)
        scene.job(completed=completed)
        scene.deployment()
        assert scene.look().encoding.vanished == dict.fromkeys(vanished, "its folder is gone")

    def test_what_was_never_rendered_has_not_vanished(self):
        _, _, scene = self.told(Progress(7, {}, 0, Indexes.parse("3-5")))
        scene.job(completed="0-2,4,6-9", failed="3,5")
        scene.deployment()
        assert list(scene.look().encoding.vanished) == [4]

    def test_encoders_that_are_not_there_leave_no_word_behind(self):
        _, _, scene = self.told(Progress(7, {}, 0, Indexes.parse("3-5")))
        scene.job(completed="0-2")
        scene.deployment(replicas=0)
        assert (scene.look().encoding.left, scene.tracked.encoding.absent.count) == (None, 0)

    def test_how_it_ended_is_remembered_until_one_encodes_again(self):
        last = EarlyEnd(2, "no such weights")
        encoding, _, scene = self.told(restarts=2, last=last)
        assert encoding.early_ends == [last, last]
        pods = [EncoderPod("e", "e", KEY, "run-1", "", 2, last)]
        assert not follow(scene.tracked, pods, [], "no route", NOW)
        assert len(encoding.early_ends) == 2
        follow(scene.tracked, pods, [Progress(1, {})], "", NOW)
        assert encoding.early_ends == []

    def stuck(self) -> "tuple[dict[str, Any], Scene]":
        """Return the status of a run whose encoder could not work, and what another operator finds of it."""
        _, _, scene = self.told(restarts=1, last=EarlyEnd(2, "no such weights"), clips=1)
        scene.job(completed="0")
        scene.deployment(replicas=0)
        status = scene.status()
        assert (status["phase"], status["encoded"]) == ("CompletedWithFailures", 0)
        return status, scene

    def test_a_run_that_ended_because_its_encoder_could_not_work_stays_so_over_a_restart(self):
        status, scene = self.stuck()
        scene.tracked = Tracked(Asked(scene.tracked.run, scene.tracked.owner, 1), status)
        scene.tracked.answers.claim = "Bound"
        for now in (NOW, NOW + 60):
            after = scene.status(now)
            assert after["completionTime"] == status["completionTime"]
            assert not write_due(scene.tracked, after, now), "it is what is written already"
            assert ("patch", "Deployment") not in scene.changes(now)
        scene.tracked.update(Asked(scene.tracked.run, scene.tracked.owner, 2))
        assert scene.status()["phase"] == "Encoding", "a change of the run is another chance"

    @pytest.mark.parametrize(
        ("generation", "owner"),
        [
            (2, Owner("ns", "run-1", {})),
            (1, Owner("ns", "run-1", {}, encode_attempt="2")),
            (1, Owner("ns", "run-1", {}, attempt="2")),
        ],
    )
    def test_what_was_changed_or_retried_while_no_operator_was_there_is_another_chance(self, generation, owner):
        status, scene = self.stuck()
        scene.tracked = Tracked(Asked(scene.tracked.run, owner, generation), status)
        scene.job(completed="0", attempt=owner.attempt)
        after = scene.status()
        assert (after["phase"], "completionTime" in after) == ("Encoding", False)

    @pytest.mark.parametrize(
        ("state", "restarts", "status", "ends"),
        [
            ("Working", 40, 137, 0),
            ("Starting", 40, 137, 1),
            ("Starting", 1, 2, 1),
            ("Starting", 0, 137, 0),  # it counts when the kubelet starts it again
            ("Starting", 40, 0, 0),
            ("Ending", 40, 137, 0),
        ],
    )
    def test_of_ends_from_before_the_operator_started_the_last_alone_counts_where_nothing_has_run_since(
        self, state, restarts, status, ends
    ):
        scene, last = Scene(**ENCODES), EarlyEnd(status, "Error")
        scene.tracked = Tracked(Asked(scene.tracked.run, scene.tracked.owner, 1), {"phase": "Running"})
        pod = EncoderPod("e", "e", KEY, "run-1", "", restarts, last, Reported(state))
        follow(scene.tracked, [pod], [], "no route", NOW)
        assert scene.tracked.encoding.early_ends == [last] * ends
        follow(scene.tracked, [replace(pod, restarts=restarts + 1)], [], "no route", NOW + 2)
        assert len(scene.tracked.encoding.early_ends) == (ends + 1 if status else 0), "from then on each counts"

    @pytest.mark.parametrize("phase", ["Pending", "Running"])
    def test_ends_of_a_pod_that_came_after_the_operator_all_count(self, phase):
        scene, last = Scene(**ENCODES), EarlyEnd(2, "no such weights")
        scene.tracked = Tracked(Asked(scene.tracked.run, scene.tracked.owner, 1), {"phase": phase})
        if phase == "Running":
            follow(scene.tracked, [], [], "", NOW)
        pod = EncoderPod("e", "e", KEY, "run-1", "", 1, last, Reported("Working"))
        follow(scene.tracked, [pod], [], "no route", NOW + 2)
        assert scene.tracked.encoding.early_ends == [last]

    def test_one_that_ended_well_found_nothing_to_do(self):
        assert self.told(restarts=1, last=EarlyEnd(0, "Finished"))[0].early_ends == []

    def test_what_is_wrong_with_its_command_line_ends_the_run_with_a_reason(self):
        _, _, scene = self.told(restarts=1, last=EarlyEnd(2, "no such weights"), clips=1)
        scene.job(completed="0")
        status = scene.status()
        conditions = {entry["type"]: entry for entry in status["conditions"]}
        assert status["phase"] == "CompletedWithFailures"
        assert conditions["EncoderReady"]["message"] == "the encoder ended with 2: no such weights"
        scene.tracked.update(Asked(scene.tracked.run, scene.tracked.owner, 2))
        assert scene.status()["phase"] == "Encoding", "a change of the run is another chance"


class TestStatus:
    def test_a_status_that_is_read_back_is_where_an_operator_goes_on(self):
        scene = Scene(10, **ENCODES)
        gpu = GpuId("node-1", 0, "GPU-a")
        before = scene.status() | {
            "encoded": 4,
            "failures": [{"clips": "1,3-4", "stage": "encode", "reason": "torn"}],
            "gpus": [{"node": "node-1", "gpu": "0", "uuid": "GPU-a", "used": "80%", "reading": "", "gate": "Closed"}],
        }
        again = Tracked(Asked(scene.tracked.run, scene.tracked.owner, 1), before)
        assert again.encoding.encoded == 4
        assert again.encoding.failed == dict.fromkeys((1, 3, 4), "torn")
        assert again.memory.watermarks == {gpu: WatermarkState(gpu, True, None)}

    def test_a_gate_of_an_instance_is_found_again_after_a_restart(self):
        part = GpuId("node-1", 0, "GPU-a", "7")
        scene = Scene(render={"device": "cuda"}).job()
        scene.store.nodes.put("n", NodeView("node-1", 8, 1, {}, (), True))
        holders = (Holder("team/encoder", 9216.0), Holder("Xorg (pid 7)"))
        scene.gpus.readings = {part: Reading(part, 9500.0, 10240.0, NOW - 3, holders=holders)}
        scene.decide()
        status = scene.status()
        [told] = status["gpus"]
        assert (told["gpu"], told["uuid"], told["gate"]) == ("0", "GPU-a/7", "Closed")
        assert (told["used"], told["total"], told["heldBy"]) == ("93%", "10.0 GiB", "team/encoder 9 GiB, Xorg (pid 7)")
        assert unix_time(told["measuredAt"]) == WALL - 3
        assert Tracked(Asked(scene.tracked.run, scene.tracked.owner, 1), status).memory.watermarks == {
            part: WatermarkState(part, True, None)
        }

    def test_a_run_that_waits_for_no_gpu_says_nothing_of_any(self):
        for device, completed, told in (("cuda", "", 1), ("cpu", "", 0), ("cuda", "0-9", 0)):
            scene = Scene(render={"device": device}, encode={"enabled": False}).job(completed=completed)
            scene.store.nodes.put("n", NodeView("node-1", 8, 1, {}, (), True))
            gpu = GpuId("node-1", 0, "GPU-a")
            scene.gpus.readings = {gpu: Reading(gpu, 1.0, 100.0, NOW)}
            assert len(scene.status().get("gpus", ())) == told

    def test_between_its_marks_a_gate_stays_closed_over_a_restart(self):
        scene = Scene(render={"device": "cuda"}, vram={"high": 0.85, "low": 0.7}).job()
        scene.store.nodes.put("n", NodeView("node-1", 8, 1, {}, (), True))
        gpu = GpuId("node-1", 0, "GPU-a")
        for used, closed in ((90.0, True), (80.0, True)):
            scene.gpus.readings = {gpu: Reading(gpu, used, 100.0, NOW)}
            scene.decide()
            assert scene.tracked.memory.watermarks[gpu].closed is closed
        status = scene.status()
        assert status["gpus"][0]["gate"] == "Closed"
        restarted = Tracked(Asked(scene.tracked.run, scene.tracked.owner, 1), status)
        scene.tracked = restarted
        scene.decide()
        assert restarted.memory.watermarks[gpu].closed

    def test_words_alone_are_written_now_and_then_and_all_else_within_a_second(self):
        scene = Scene().job()
        tracked, first = scene.tracked, scene.status()
        assert write_due(tracked, first, NOW)
        tracked.status, tracked.work.status_written_at = first, NOW
        assert not write_due(tracked, first, NOW + 100)
        words = first | {"eta": "3m 10s"}
        assert not write_due(tracked, words, NOW + 5)
        assert write_due(tracked, words, NOW + 10)
        unknown = first | {"gpuCounts": {"total": 400, "closed": 0, "unknown": 1}}
        assert not write_due(tracked, unknown, NOW + 5)
        assert write_due(tracked, unknown, NOW + 10)
        counted = first | {"rendered": 1}
        assert not write_due(tracked, counted, NOW + 0.5)
        assert write_due(tracked, counted, NOW + 1)

    def test_the_time_alone_is_written_every_two_minutes_while_a_run_is_unfinished(self):
        scene = Scene().job()
        tracked = scene.tracked
        tracked.status, tracked.work.status_written_at = scene.status(), NOW
        later = tracked.status | {"observedAt": "2027-01-15T08:02:00Z"}
        assert not write_due(tracked, later, NOW + HEARTBEAT_SECONDS - 1)
        assert write_due(tracked, later, NOW + HEARTBEAT_SECONDS)
        assert HEARTBEAT_SECONDS + COSMETIC_SECONDS < OLD_SECONDS / 2, "one that is late is not yet old"
        scene.job(completed="0-9")
        tracked.status = scene.status()
        assert "completionTime" in tracked.status
        later = tracked.status | {"observedAt": "2027-01-15T08:02:00Z"}
        assert not write_due(tracked, later, NOW + 10 * HEARTBEAT_SECONDS)

    def test_a_condition_keeps_the_time_of_its_last_change(self):
        scene = Scene(render={"device": "cuda"}, vram={"enabled": False}).job()
        scene.tracked.status = scene.status()
        for entry in scene.tracked.status["conditions"]:
            entry["lastTransitionTime"] = "2026-01-01T00:00:00Z"
        scene.job(completed="0-9")
        changed = {entry["type"]: entry["lastTransitionTime"] for entry in scene.status()["conditions"]}
        assert changed["VRAMHeld"] == changed["Progressing"] == "2026-01-01T00:00:00Z"
        assert changed["Ready"] == "2027-01-15T08:00:00Z"

    def test_many_failures_stay_a_small_status(self):
        scene = Scene(20_000).job(failed=",".join(str(index) for index in range(0, 20_000, 2)))
        for index in range(0, 200, 2):
            scene.failed(index, ExitCode.FAILED, reason=f"reason {index}" + "x" * 2000)
        status = scene.status()
        assert status["failed"] == 10_000
        assert len(status["failures"]) == 20
        assert status["failures"][0]["clips"].endswith(",...")
        assert len(str(status)) < 40_000

    def test_pods_that_do_not_get_to_run_say_why(self):
        scene = Scene().job()
        for index in range(3):
            uid = scene.pod(index)
            view = scene.store.pods.of(KEY)[uid]
            unschedulable = Reported("Released", WALL - 10, "Unschedulable", "0/3 nodes fit")
            scene.store.pods.put(uid, replace(view, reported=unschedulable) if index else view)
        [progressing] = [each for each in scene.status()["conditions"] if each["type"] == "Progressing"]
        assert progressing["reason"] == "Unschedulable"
        assert progressing["message"] == "2 pods do not start working: 0/3 nodes fit"

    def test_pods_are_counted_by_state_and_clips_are_listed_by_what_holds_them(self):
        scene = Scene(12, workers=4, render={"clipsPerPod": 3, "device": "cuda"}).job()
        for index, state in enumerate(("Working", "Starting", "Gated", "Gated")):
            uid = scene.pod(index, gate=0 if state == "Gated" else None)
            scene.store.pods.put(uid, replace(scene.store.pods.of(KEY)[uid], reported=Reported(state)))
        status = scene.status()
        assert {state: count for state, count in status["pods"].items() if count} == {
            "gated": 2, "starting": 1, "working": 1,
        }  # fmt: skip
        [held] = status["held"]
        assert (held["reason"], held["clips"], held["count"]) == ("VRAMUnknown", "6-11", 6)
        assert (status["heldClips"], status["phase"], status["reason"]) == (6, "Running", "Rendering")

    @pytest.mark.parametrize(
        ("reported", "phase", "reason"),
        [
            (Reported("Working"), "Running", "Rendering"),
            (Reported("Starting"), "Running", "Starting"),
            (Reported("Working", WALL - 60, "CompilingKernels", "compiling"), "Running", "CompilingKernels"),
            (Reported("Working", WALL - 5, "CompilingKernels", "compiling"), "Running", "Starting"),
            (Reported("Starting", None, "ImagePullBackOff", "no/such:1: not found"), "Waiting", "ImagePullBackOff"),
            (Reported("Released", WALL - 10, "Unschedulable", "0/3 nodes fit"), "Waiting", "Unschedulable"),
            (Reported("Ending", None, "SidecarRuns", "istio-proxy keeps the pod alive"), "Waiting", "SidecarRuns"),
            (Reported("Starting", None, "NewWord", "of a later kubelet"), "Waiting", "PodsWait"),
        ],
    )
    def test_the_reason_is_the_word_that_says_most(self, reported, phase, reason):
        scene = Scene().job()
        uid = scene.pod(0)
        scene.store.pods.put(uid, replace(scene.store.pods.of(KEY)[uid], reported=reported))
        status = scene.status()
        assert (status["phase"], status["reason"]) == (phase, reason)

    def test_a_claim_that_is_missing_is_the_reason_and_not_what_the_scheduler_says_of_it(self):
        scene = Scene(storage={"claimName": "clips"}).job()
        scene.tracked.answers.claim = "Missing"
        uid = scene.pod(0)
        word = Reported("Released", WALL - 10, "Unschedulable", 'persistentvolumeclaim "clips" not found')
        scene.store.pods.put(uid, replace(scene.store.pods.of(KEY)[uid], reported=word))
        assert (scene.status()["phase"], scene.status()["reason"]) == ("Waiting", "StorageMissing")

    @pytest.mark.parametrize(
        ("reported", "ready", "reason"),
        [
            (Reported("Working"), True, "AtWork"),
            (Reported("Working"), False, "Loading"),
            (Reported("Starting"), False, "Starting"),
            (Reported("Released", WALL - 10, "Unschedulable", "0/3 nodes fit"), False, "Unschedulable"),
            (Reported("Starting", None, "CrashLoopBackOff", "ended with 1: no weights"), False, "CrashLoopBackOff"),
            (Reported("Starting", None, "ImagePullBackOff", "not found"), False, "ImagePullBackOff"),
        ],
    )
    def test_an_encoder_is_at_work_only_where_its_own_container_runs(self, reported, ready, reason):
        scene = Scene(2, **ENCODES).job(completed="0-1")
        scene.deployment()
        scene.encoder(reported, ready=ready)
        status = scene.status()
        [condition] = [each for each in status["conditions"] if each["type"] == "EncoderReady"]
        assert (condition["reason"], condition["status"] == "True") == (reason, reason == "AtWork")
        assert (status["phase"] == "Waiting") is (reason not in ("AtWork", "Loading", "Starting"))

    def test_an_encoders_pod_that_was_evicted_is_no_encoder(self):
        scene = Scene(2, **ENCODES).job(completed="0-1")
        scene.encoder(Reported("Working"), ready=True, ended=True)
        assert scene.look().encoding.pods == ()

    def test_pods_that_wait_for_a_node_to_be_added_say_so(self):
        scene = Scene().job()
        scene.store.nodes.drop("n")
        for index in range(2):
            uid = scene.pod(index)
            view = scene.store.pods.of(KEY)[uid]
            unschedulable = Reported("Released", WALL - 10, "Unschedulable", "0/3 nodes fit")
            scene.store.pods.put(uid, replace(view, reported=unschedulable))
        [progressing] = [each for each in scene.status()["conditions"] if each["type"] == "Progressing"]
        assert (progressing["status"], progressing["reason"]) == ("False", "NoNode")
        assert progressing["message"] == (
            "no node fits the run's node selector and tolerations; 2 pods wait for a node to be added: 0/3 nodes fit"
        )

    def test_a_job_that_somebody_suspended_shows_as_suspended(self):
        scene = Scene().job(suspended=True)
        status = scene.status()
        assert status["phase"] == "Suspended"
        assert "clipfarm does not resume it" in status["conditions"][0]["message"]


HELD = {"reason": "ImagePullBackOff", "clips": "1", "count": 1, "message": "1 pod"}


@pytest.mark.parametrize(("reason", "kind"), [("CompilingKernels", "Normal"), ("ImagePullBackOff", "Warning")])
def test_kernels_that_are_compiled_are_told_and_are_no_warning(reason, kind):
    [told] = notices({}, {"phase": "Pending", "held": [HELD | {"reason": reason}]})
    assert (told.kind, told.reason) == (kind, reason)


@pytest.mark.parametrize(
    ("before", "after", "reasons"),
    [
        ({}, {"phase": "Pending"}, []),
        ({"phase": "Pending"}, {"phase": "Running"}, ["Running"]),
        ({"phase": "Running"}, {"phase": "Running", "rendered": 3}, []),
        ({"phase": "Running"}, {"phase": "Failed"}, ["Failed"]),
        ({}, {"phase": "Pending", "failed": 1, "failures": [{"clips": "3", "reason": "black"}]}, ["FirstFailure"]),
        ({"failed": 1}, {"phase": "Pending", "failures": [{"clips": "3", "reason": "black"}]}, []),
        ({}, {"phase": "Pending", "conditions": [("VRAMHeld", "True", "VRAMHigh")]}, ["VRAMHeld"]),
        (
            {"conditions": [("VRAMHeld", "True", "VRAMHigh")]},
            {"phase": "Pending", "conditions": [("VRAMHeld", "True", "VRAMClaims")]},
            [],
        ),
        (
            {"conditions": [("VRAMHeld", "True", "VRAMHigh")]},
            {"phase": "Pending", "conditions": [("VRAMHeld", "False", "Open")]},
            ["VRAMReleased"],
        ),
        ({}, {"phase": "Pending", "conditions": [("Ready", "False", "Stuck")]}, ["Stuck"]),
        ({"phase": "Running"}, {"phase": "Waiting"}, []),
        ({"phase": "Waiting"}, {"phase": "Running"}, []),
        ({"phase": "Waiting"}, {"phase": "Succeeded"}, ["Succeeded"]),
        ({}, {"phase": "Pending", "held": [HELD]}, ["ImagePullBackOff"]),
        ({"held": 3}, {"phase": "Pending", "held": [HELD]}, ["ImagePullBackOff"]),
        ({"held": [HELD]}, {"phase": "Pending", "held": [HELD | {"message": "2 pods"}]}, []),
        ({}, {"phase": "Pending", "held": [HELD | {"reason": "WorkersBusy"}]}, []),
    ],
)
def test_events_tell_what_changed_and_no_more(before, after, reasons):
    for status in (before, after):
        if "conditions" in status:
            names = ("type", "status", "reason", "message")
            status["conditions"] = [dict(zip(names, (*each, "why"), strict=True)) for each in status["conditions"]]
    assert [each.reason for each in notices(before, after)] == reasons


@pytest.mark.parametrize(
    ("node", "options", "expected"),
    [
        ({}, {}, True),
        ({"schedulable": False}, {}, False),
        ({"labels": {"gpu": "yes"}}, {"nodeSelector": {"gpu": "yes"}}, True),
        ({"labels": {"gpu": "no"}}, {"nodeSelector": {"gpu": "yes"}}, False),
        ({"taints": (("a", "b", "NoSchedule"),)}, {}, False),
        ({"taints": (("a", "b", "PreferNoSchedule"),)}, {}, True),
        ({"taints": (("a", "b", "NoSchedule"),)}, {"tolerations": [{"key": "a", "value": "b"}]}, True),
        ({"taints": (("a", "b", "NoSchedule"),)}, {"tolerations": [{"key": "a", "value": "c"}]}, False),
        ({"taints": (("a", "", "NoSchedule"),)}, {"tolerations": [{"key": "a"}]}, True),
        ({"taints": (("a", "b", "NoSchedule"),)}, {"tolerations": [{"operator": "Exists"}]}, True),
        (
            {"taints": (("a", "b", "NoExecute"),)},
            {"tolerations": [{"key": "a", "operator": "Exists", "effect": "NoSchedule"}]},
            False,
        ),
    ],
)
def test_workers_are_counted_on_nodes_where_the_pods_may_go(node, options, expected):
    view = NodeView(**({"name": "n", "cpus": 1, "gpus": 0, "labels": {}, "taints": (), "schedulable": True} | node))
    assert fits(view, PodOptions.model_validate(options)) is expected


class TestRunsThatEndAsAWhole:
    def failures(self, scene, count=20, **fields):
        for index in range(count):
            scene.failed(index, ExitCode.FAILED, **({"reason": f"no bean for clip {index}"} | fields))

    def test_the_job_makes_no_more_pods_and_the_run_says_which_reason_its_clips_share(self):
        scene = Scene(100).job()
        self.failures(scene)
        scene.pod(20, gate=0)
        status = scene.status()
        assert (status["phase"], status["failed"]) == ("Failed", 20)
        why = "20 clips failed alike before the first was complete (retry.stopAfter): no bean for clip 0"
        ready = next(each for each in status["conditions"] if each["type"] == "Ready")
        assert (ready["reason"], ready["message"]) == ("Stuck", why)
        assert scene.changes()["patch", "Job"] == {"spec": {"parallelism": 0}}

    def test_what_is_at_work_goes_on_to_its_end_and_one_that_is_complete_lets_the_run_go_on(self):
        scene = Scene(100).job()
        self.failures(scene)
        scene.pod(20)
        scene.pod(21, gate=0)
        assert scene.status()["phase"] == "Running"
        assert ("patch", "Job") not in scene.changes()
        assert not decide(scene.tracked.run, scene.look()).start
        del scene.store.pods._by_run[KEY]["pod-20"]
        scene.job(completed="20")
        assert [start.index for start in decide(scene.tracked.run, scene.look()).start] == [21]

    @pytest.mark.parametrize("changed", [{}, {"generation": 2}, {"attempt": "2"}])
    def test_one_whose_pods_are_gone_stays_ended_until_it_is_changed_or_tried_again(self, changed):
        before = Scene(100).job()
        self.failures(before)
        status = before.status()
        after = Scene(100)
        generation, attempt = changed.get("generation", 1), changed.get("attempt", "")
        owner = replace(after.tracked.owner, attempt=attempt)
        after.tracked = Tracked(Asked(after.tracked.run, owner, generation), status)
        after.tracked.answers.claim = "Bound"
        after.job(failed="0-19", parallelism=0, attempt=attempt)
        ended = not changed
        assert after.look().fatal == (before.look().fatal or status["conditions"][0]["message"] if ended else "")
        assert (after.status()["phase"] == "Failed") is ended

    def test_clips_of_an_earlier_attempt_do_not_count_as_made_by_this_one(self):
        scene = Scene(100, only="50-99").job()
        self.failures(scene)
        assert (scene.look().made, scene.status()["phase"]) == (0, "Failed")

    def test_a_block_counts_with_each_of_its_clips_that_failed(self):
        scene = Scene(100, render={"clipsPerPod": 10}).job()
        for index, phase in ((0, "Running"), (1, "Failed")):
            told = tuple((clip, "no bean") for clip in range(10 * index, 10 * index + 10))
            scene.failed(index, ExitCode.FAILED, clips=told, reason="no bean")
            assert scene.status()["phase"] == phase

    def test_blocks_that_were_given_up_end_a_run_although_each_would_get_another_attempt(self):
        scene = Scene(100, render={"clipsPerPod": 10}, retry={"stopAfter": 6}).job()
        for index in (0, 1):
            told = tuple((clip, "no bean") for clip in range(10 * index, 10 * index + 3))
            scene.failed(index, ExitCode.GAVE_UP, clips=told, reason="no bean")
            assert scene.status()["failed"] == 20 * index
        # Their next pods are there, and go with all others when the Job has none any more.
        gated = scene.pod(0, gate=0, uid="again")
        ended = scene.status()
        scene.store.pods.drop(gated)
        for status in (ended, scene.status()):
            assert (status["phase"], status["failed"]) == ("Failed", 20)
            assert {each["reason"]: each["clips"] for each in status["failures"]} == {
                "no bean": "0-2,10-12",
                "not tried: its pod ended early, after clips before it had failed": "3-9,13-19",
            }

    def test_a_block_that_was_given_up_is_tried_again_and_the_run_goes_on(self):
        scene = Scene(100, render={"clipsPerPod": 10}).job()
        scene.failed(0, ExitCode.GAVE_UP, clips=((0, "no bean"),), reason="no bean")
        scene.pod(0, gate=0, uid="again")
        assert scene.status()["held"] == [
            {
                "reason": "RetryDelay", "clips": "0-9", "count": 10,
                "message": "its first clips failed alike, so the pod ended before the others were tried; starts again"
                " 30s after that",
            }
        ]  # fmt: skip
        assert [start.index for start in decide(scene.tracked.run, scene.look(NOW + 31)).start] == [0]
        scene.failed(0, ExitCode.FAILED, clips=((0, "no bean"),), reason="no bean", attempts=2, done=9)
        assert scene.status()["failures"] == [{"clips": "0", "stage": "render", "reason": "no bean"}]

    def test_a_block_that_broke_off_is_counted_by_what_is_settled_of_its_clips(self):
        # Of clips 10 to 19 the first four are settled, one of them failed; clip 14 ran out of GPU memory.
        scene = Scene(30, render={"clipsPerPod": 10}).job(completed="0")
        scene.failed(1, ExitCode.BROKE_OFF, clips=((12, "black"),), done=3, reason="GPU memory ran out")
        counts = ("rendered", "failed", "retried", "heldClips")
        assert [scene.status()[name] for name in counts] == [13, 1, 0, 0], "its next pod is not there yet"
        gated = scene.pod(1, gate=0, uid="again")
        status = scene.status()
        assert [status[name] for name in counts] == [13, 1, 1, 6]
        assert status["failures"] == [{"clips": "12", "stage": "render", "reason": "black"}]
        assert [(each["reason"], each["clips"]) for each in status["held"]] == [("RetryDelay", "14-19")]
        world = scene.look()
        blocks, held = scene.tracked.memory.blocks, decide(scene.tracked.run, world).status
        assert [clips for _, clips in clips_held(blocks, world, held)] == [[*range(14, 20)]], "the metric counts them"
        assert [start.index for start in decide(scene.tracked.run, scene.look(NOW + 31)).start] == [1]
        scene.store.pods.drop(gated)
        scene.job(completed="0-2")
        assert [scene.status()[name] for name in counts] == [30, 0, 0, 0], "the Job has the last word"

    def test_a_block_breaks_off_as_often_as_its_clips_run_out(self):
        scene = Scene(30, render={"clipsPerPod": 10}).job()
        for ignored, clip in enumerate((2, 5, 9)):  # the Job counts none of its pods
            end = {"done": clip, "ignored": ignored, "ended": WALL + 60 * ignored}
            scene.store.failed.put(
                f"f-{clip}",
                FailedPod(
                    f"f-{clip}", KEY, "job-1", 0, ExitCode.BROKE_OFF, "ran out", attempts=1, disrupted=False, **end
                ),
            )
            assert (scene.status()["rendered"], scene.status()["failed"]) == (clip, 0)
        scene.failed(0, ExitCode.FAILED, clips=((9, "ran out"),), done=9, ignored=3)
        status = scene.status()
        assert (status["rendered"], status["failed"]) == (9, 1)
        assert status["failures"] == [{"clips": "9", "stage": "render", "reason": "ran out"}]

    def test_a_block_that_breaks_off_more_often_than_its_clips_have_attempts_has_failed(self):
        scene = Scene(20, render={"clipsPerPod": 10}, retry={"limit": 1}).job(completed="0")
        for times in range(11):
            scene.pod(1, gate=0, uid=f"again-{times}")
            end = {"done": 2, "ignored": times, "ended": WALL + 60 * times}
            scene.store.failed.put(
                f"f-{times}",
                FailedPod(
                    f"f-{times}", KEY, "job-1", 1, ExitCode.BROKE_OFF, "full", attempts=1, disrupted=False, **end
                ),
            )
            assert (scene.status()["failed"], scene.status()["retried"]) == ((0, 1), (8, 0))[times == 10]
        assert decide(scene.tracked.run, scene.look(NOW + 3600)).start == ()
        status = scene.status()
        assert status["phase"] == "CompletedWithFailures"
        assert status["failures"] == [
            {
                "clips": "10-19", "stage": "render",
                "reason": "full; the block broke off 11 times, expected at most 10: retry.limit for each of its clips."
                " So its image does not count them, or its results are not kept on the volume",
            }
        ]  # fmt: skip
        assert scene.changes()["patch", "Job"] == {"spec": {"parallelism": 0}}, "the pod at its gate goes"

    def test_the_pod_of_a_block_that_broke_off_too_often_keeps_no_other_from_its_place(self):
        """The Job makes a pod of it again and again, and its parallelism counts that pod."""
        scene = Scene(40, render={"clipsPerPod": 10}, retry={"limit": 0}, workers=1).job(completed="0", parallelism=1)
        scene.pod(1, gate=0)
        scene.failed(1, ExitCode.BROKE_OFF)
        assert (scene.status()["failed"], scene.look().unmade) == (10, (2,))
        assert scene.changes()["patch", "Job"] == {"spec": {"parallelism": 2}}
        scene.job(completed="0", parallelism=2).pod(2, gate=0)
        assert [start.index for start in decide(scene.tracked.run, scene.look()).start] == [2]
        scene.store.pods.drop("pod-2")
        scene.job(completed="0-1", parallelism=2)  # it is complete in the end, as an operator of before let it go on
        assert (scene.status()["rendered"], scene.status()["failed"]) == (20, 0)

    def test_a_queued_run_whose_pods_are_all_of_such_blocks_ends(self):
        """Its Job keeps its number of pods."""
        queue = {QUEUE_LABEL: "team"}
        scene = Scene(40, labels=queue, render={"clipsPerPod": 10}, retry={"limit": 0}, workers=2)
        scene.job(completed="0", parallelism=2).failed(1, ExitCode.BROKE_OFF)
        scene.pod(1, gate=0)
        scene.pod(2)
        assert scene.status()["phase"] == "Running"
        scene.failed(2, ExitCode.BROKE_OFF)
        scene.store.pods.drop("pod-2")
        scene.pod(2, gate=0, uid="again-2")
        scene.decide()
        assert scene.changes()["patch", "Job"] == {"spec": {"parallelism": 0}}
        for uid in ("pod-1", "again-2"):
            scene.store.pods.drop(uid)
        scene.job(completed="0", parallelism=0)
        status = scene.status()
        assert (status["phase"], status["rendered"], status["failed"]) == ("Failed", 10, 20)
        ready = next(each for each in status["conditions"] if each["type"] == "Ready")
        assert (ready["reason"], ready["message"]) == ("Stuck", STARVED)

    def test_a_clip_that_is_gone_is_missed_beside_a_block_that_broke_off_too_often(self):
        scene = Scene(30, render={"clipsPerPod": 10}, retry={"limit": 0}, **ENCODES).job(completed="0,2")
        scene.deployment()
        follow(scene.tracked, [], [Progress(19, {}, 0, Indexes.parse("5,10-19"))], "", NOW)
        assert scene.look().encoding.vanished == {}
        scene.failed(1, ExitCode.BROKE_OFF)
        assert scene.look().encoding.vanished == {5: "its folder is gone"}

    def test_a_pod_that_tells_of_clips_of_others_or_of_more_than_it_has_is_not_believed(self):
        scene = Scene(20, render={"clipsPerPod": 10}).job()
        told = ((3, "black"), (3, "black"), (17, "not its own"), (-1, "none"))
        scene.failed(0, ExitCode.FAILED, clips=told, done=10**300)
        scene.failed(1, ExitCode.FAILED, clips=(), done=-5)
        status = scene.status()
        assert (status["rendered"], status["failed"]) == (0, 20)
        assert {"clips": "3", "stage": "render", "reason": "black"} in status["failures"]

    def test_pods_whose_reasons_are_not_known_are_not_said_to_have_failed_alike(self):
        scene = Scene(100).job(failed="0-49")
        assert scene.status()["phase"] == "Running"
