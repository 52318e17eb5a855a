"""The objects that runs become: each example's as a whole, and what an option of a run does to them."""

from pathlib import Path
from typing import Any

import pytest

from clipfarm.manifests import encoder, export, job, report, run_files
from clipfarm.manifests.common import Images, Owner
from clipfarm.run import Run
from clipfarm_contract.objects import ASKED_ANNOTATION, TEMPLATE_ANNOTATION
from clipfarm_export.cli import command
from helpers.runs import document, make_run

from .make import EXAMPLES, golden, text

OWNER = Owner("ns", "run-1", {})


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.stem)
def test_an_example_becomes_what_its_golden_file_says(example: Path):
    assert text(example) == golden(example).read_text(), "run `make golden`, and look at what changes"


def test_every_golden_file_has_its_example():
    assert sorted(Path(__file__).parent.glob("*.yaml")) == sorted(golden(example) for example in EXAMPLES)


def job_of(labels: dict[str, str] | None = None, only: str = "", **spec: Any) -> dict[str, Any]:
    run = make_run(10, **({"storage": {"size": "1Gi"}} | spec))
    return job.job(run, Owner("ns", "run-1", labels or {}, only), Images(), 4)


def pod_of(manifest: dict[str, Any]) -> dict[str, Any]:
    return manifest["spec"]["template"]["spec"]


def test_pods_keep_to_what_the_standard_restricted_asks_and_cannot_talk_to_the_api_server():
    asked = {"format": "hf", "license": "mit"}
    run = make_run(10, storage={"size": "1Gi"}, encode={"weights": {"source": "random"}}, export=asked)
    made = (
        job.job(run, OWNER, Images(), 1),
        encoder.deployment(run, OWNER, Images(), 1),
        report.job(run, OWNER, Images(), {}, ""),
        export.job(run, OWNER, Images()),
    )
    for pod in map(pod_of, made):
        security = pod["securityContext"]
        assert (security["runAsNonRoot"], security["seccompProfile"]) == (True, {"type": "RuntimeDefault"})
        assert pod["automountServiceAccountToken"] is False
        [container] = pod["containers"]
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }


def test_pods_get_the_options_that_the_run_passes_on():
    options = {
        "nodeSelector": {"gpu": "yes"},
        "tolerations": [{"key": "gpu", "operator": "Exists", "effect": "NoSchedule"}],
        "resources": {"nvidia.com/gpu": "1"},
        "runtimeClassName": "nvidia",
        "priorityClassName": "low",
        "imagePullSecrets": ["registry"],
        "labels": {"team": "a", "clipfarm.dev/run": "not this"},
        "annotations": {"note": "b"},
    }
    made = job_of(render={"pod": options, "memory": "3Gi", "threads": 2, "sharedMemory": "1Gi"})
    pod, metadata = pod_of(made), made["spec"]["template"]["metadata"]
    assert pod["nodeSelector"] == {"gpu": "yes"}
    assert pod["tolerations"] == options["tolerations"]
    assert (pod["runtimeClassName"], pod["priorityClassName"]) == ("nvidia", "low")
    assert pod["imagePullSecrets"] == [{"name": "registry"}]
    assert (metadata["labels"]["team"], metadata["labels"]["clipfarm.dev/run"]) == ("a", "test")
    assert metadata["annotations"] == {"note": "b"}
    limits = {"cpu": "2", "memory": "3Gi", "nvidia.com/gpu": "1"}
    assert pod["containers"][0]["resources"] == {"requests": limits, "limits": limits}
    shm = next(volume for volume in pod["volumes"] if volume["name"] == "shm")
    assert shm["emptyDir"] == {"medium": "Memory", "sizeLimit": "1Gi"}


@pytest.mark.parametrize(
    ("cpu", "requests", "limits"), [({}, "500m", None), ({"cpu": "2"}, "2", "2"), ({"cpu": "0.75"}, "750m", "750m")]
)
def test_an_encoder_gets_the_cpus_that_the_run_says_as_request_and_limit(cpu, requests, limits):
    run = make_run(10, storage={"size": "1Gi"}, encode={"weights": {"source": "random"}} | cpu)
    [container] = pod_of(encoder.deployment(run, OWNER, Images(), 1))["containers"]
    found = container["resources"]
    assert (found["requests"]["cpu"], found["limits"].get("cpu")) == (requests, limits)


def test_an_encoder_knows_whose_clips_it_encodes():
    render = {"command": ["python3", "ball.py", "$HOME"]}
    run = make_run(10, seed=7, storage={"size": "1Gi"}, render=render, encode={"weights": {"source": "random"}})
    [container] = pod_of(encoder.deployment(run, OWNER, Images(), 1))["containers"]
    assert container["args"][container["args"].index("--seed") + 1 :] == ["7", "--", "python3", "ball.py", "$$HOME"]
    variables = {entry["name"]: entry.get("value") for entry in container["env"]}
    assert variables["CLIPFARM_EXPERIMENT"] == run.spec.experiment_json()


def test_a_report_is_written_where_renderers_go_without_a_gpu_and_knows_how_the_run_ended():
    options = {"nodeSelector": {"a": "b"}, "imagePullSecrets": ["registry"], "runtimeClassName": "nvidia"}
    render = {"pod": options | {"resources": {"nvidia.com/gpu": "1"}}}
    run = make_run(10, storage={"size": "1Gi"}, render=render, encode={"weights": {"source": "random"}})
    owner = Owner("ns", "run-1", {}, attempt="2")
    made = report.job(run, owner, Images(), {"phase": "Succeeded", "why": "$(HOME) é"}, "2026-01-01T00:00:00Z")
    assert made["metadata"]["annotations"] == {"clipfarm.dev/attempt": "2.1"}
    pod = pod_of(made)
    assert (pod["nodeSelector"], pod["imagePullSecrets"]) == ({"a": "b"}, [{"name": "registry"}])
    assert "runtimeClassName" not in pod
    [container] = pod["containers"]
    assert "nvidia.com/gpu" not in container["resources"]["limits"]
    assert container["env"] == [{"name": "CLIPFARM_STATUS", "value": '{"phase": "Succeeded", "why": "$$(HOME) é"}'}]


def test_a_queue_gets_the_job_suspended_and_nobody_else_does():
    queued = job_of({"kueue.x-k8s.io/queue-name": "team"})
    assert queued["metadata"]["labels"]["kueue.x-k8s.io/queue-name"] == "team"
    assert queued["spec"]["suspend"] is True
    assert "suspend" not in job_of()["spec"]


def test_the_kubelet_fills_in_the_index_and_nothing_of_the_users():
    made = job_of(render={"command": ["sh", "-c", "echo $(HOME) $CLIP_DIR"], "clipsPerPod": 4})
    [container] = pod_of(made)["containers"]
    arguments = container["args"]
    assert arguments[arguments.index("--clips") + 1] == "$(CLIPFARM_CLIPS)"
    assert arguments[arguments.index("--block") + 1] == "$(JOB_COMPLETION_INDEX)"
    assert arguments[arguments.index("--count") + 1] == "4"
    assert arguments[-4:] == ["--", "sh", "-c", "echo $$(HOME) $$CLIP_DIR"]
    assert made["spec"]["completions"] == 3


def test_another_attempt_makes_only_what_is_left():
    made = job_of(only="3,7-8")
    assert made["spec"]["completions"] == 3
    files = run_files.config_map(make_run(10), Owner("ns", "run-1", {}, "3,7-8"))
    assert files["data"]["clips"] == "3,7-8"


def test_a_pod_refers_to_what_all_have_in_common_and_holds_none_of_it():
    made, files = job_of(only="3,7-8"), run_files.config_map(make_run(10), Owner("ns", "run-1", {}, "3,7-8"))
    variables = {each["name"]: each.get("valueFrom") for each in pod_of(made)["containers"][0]["env"]}
    for variable, key in (("CLIPFARM_CLIPS", "clips"), ("CLIPFARM_EXPERIMENT", "experiment.json")):
        assert variables[variable] == {"configMapKeyRef": {"name": files["metadata"]["name"], "key": key}}
    assert files["immutable"] is True
    assert files["metadata"]["ownerReferences"][0]["kind"] == "BenchmarkRun"
    assert "3,7-8" not in str(made)


def test_a_list_that_is_too_long_for_an_argument_comes_as_a_file():
    only = ",".join(map(str, range(1, 50_000, 2)))
    run, owner = make_run(50_000, storage={"size": "1Gi"}), Owner("ns", "run-1", {}, only, "2")
    pod = pod_of(job.job(run, owner, Images(), 4))
    [container] = pod["containers"]
    assert container["args"][container["args"].index("--clips-from") + 1] == "/etc/clipfarm/clips"
    assert "--clips" not in container["args"]
    assert {"name": "run-files", "mountPath": "/etc/clipfarm"} in container["volumeMounts"]
    files = run_files.config_map(run, owner)
    assert {"name": "run-files", "configMap": {"name": files["metadata"]["name"]}} in pod["volumes"]
    assert files["data"]["clips"] == only
    assert len(str(pod)) < 5000


def test_no_two_attempts_and_no_two_runs_of_a_name_share_what_their_pods_read():
    owners = [Owner("ns", uid, {}, only, attempt) for uid, only, attempt in (
        ("run-1", "", ""), ("run-2", "", ""), ("run-1", "", "2"), ("run-1", "3", "2"))]  # fmt: skip
    run = Run.model_validate(document(10) | {"metadata": {"name": "a" * 52}})
    names = {run_files.of(run, owner).name for owner in owners}
    assert len(names) == len(owners)
    assert max(map(len, names)) <= 63


def test_threads_limit_everything_that_counts_cpus():
    [container] = pod_of(job_of(render={"threads": 3}))["containers"]
    values = {entry["name"]: entry.get("value") for entry in container["env"]}
    assert {values[name] for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "BLENDER_CPU_THREADS")} == {"3"}


def test_every_change_of_an_encoders_pod_changes_its_hash_and_nothing_else_does():
    def hash_of(images: Images | None = None, **encode: Any) -> str:
        run = make_run(10, storage={"size": "1Gi"}, encode={"weights": {"source": "random"}} | encode)
        made = encoder.deployment(run, OWNER, images or Images(), 1)
        return made["metadata"]["annotations"][TEMPLATE_ANNOTATION]

    assert hash_of() == hash_of(replicas=3)
    assert len({hash_of(), hash_of(batchSize=8), hash_of(memory="1Gi"), hash_of(Images(encode="other"))}) == 4


def test_what_a_run_asks_of_its_encoders_has_a_hash_that_no_image_and_no_number_of_them_changes():
    def hash_of(images: Images | None = None, attempt: str = "", **encode: Any) -> str:
        run = make_run(10, storage={"size": "1Gi"}, encode={"weights": {"source": "random"}} | encode)
        made = encoder.deployment(run, Owner("ns", "run-1", {}, encode_attempt=attempt), images or Images(), 1)
        return made["metadata"]["annotations"][ASKED_ANNOTATION]

    assert hash_of() == hash_of(replicas=3) == hash_of(Images(encode="other")) == hash_of(batchSize=4)
    assert len({hash_of(), hash_of(batchSize=8), hash_of(memory="1Gi"), hash_of(attempt="2")}) == 4


@pytest.mark.parametrize("only", ["", "3,7-8"])
def test_encoders_look_at_all_clips_of_their_run_and_at_no_others(only: str):
    made = document(10, storage={"size": "1Gi"}, encode={"weights": {"source": "random"}})
    made["spec"]["clips"]["start"] = 2
    run = Run.model_validate(made)
    [container] = pod_of(encoder.deployment(run, Owner("ns", "run-1", {}, only), Images(), 1))["containers"]
    assert container["args"][container["args"].index("--clips") + 1] == "2-9"


def export_of(**asked: Any) -> dict[str, Any]:
    run = make_run(10, storage={"size": "1Gi"}, encode={"weights": {"source": "random"}},
                   export={"format": "hf", "license": "mit", **asked})  # fmt: skip
    return export.job(run, OWNER, Images())


def test_an_export_reads_the_run_alone_and_gets_a_store_s_credentials_as_variables():
    address = "s3://bucket/$(HOME)"
    pod = pod_of(export_of(destination=address, secretName="clipfarm-export-s3", cpu="2", memory="4Gi", image="own:1"))
    [container] = pod["containers"]
    assert container["args"][:2] == ["/clips", "s3://bucket/$$(HOME)"]
    assert container["envFrom"] == [{"secretRef": {"name": "clipfarm-export-s3"}}]
    assert [mount for mount in container["volumeMounts"] if mount["name"] == "clips"] == [
        {"name": "clips", "mountPath": "/clips", "readOnly": True}
    ]
    assert container["image"] == "own:1"
    assert container["resources"]["limits"] == {"cpu": "2", "memory": "4Gi"}


def test_an_export_takes_what_the_run_file_says_in_the_words_of_the_command():
    [container] = pod_of(export_of(name="-a b", video="png", features=[], replace=True))["containers"]
    parsed = command.make_context("clipfarm-export", list(container["args"])).params
    assert (str(parsed["run_folder"]), parsed["dest"]) == ("/clips", "/export/exports/test-hf")
    assert (parsed["format_"], parsed["name"], parsed["license_"]) == ("hf", "-a b", "mit")
    assert (parsed["video"], parsed["features"], parsed["replace"], parsed["only"]) == ("png", (), True, "0-9")
    [container] = pod_of(export_of())["containers"]
    assert "--features=all" in container["args"]


def test_what_is_asked_of_an_export_decides_whether_another_job_makes_it():
    def asked(owner: Owner = OWNER, features: tuple[str, ...] = (), **export_: Any) -> str:
        sets = [{"name": name} for name in features]
        encode = {"weights": {"source": "random"}, "features": sets}
        run = make_run(10, encode=encode, export={"format": "hf", "license": "mit", **export_})
        return export.asked(run, owner)

    assert asked() == asked(video="lossless", replace=False)
    assert len({asked(), asked(video="h264"), asked(memory="4Gi"), asked(features=("a",)), asked(features=("a", "b")),
                asked(Owner("ns", "run-1", {}, attempt="2"))}) == 6  # fmt: skip
