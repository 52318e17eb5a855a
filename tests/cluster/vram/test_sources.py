"""The operator finds exporters by their pods' labels, and follows them as they come, move and go."""

import os
import shutil
import subprocess

import pytest
from prometheus_client.parser import text_string_to_metric_families

from helpers.cluster import ControlPlane, Namespace
from helpers.exporters import end_pod, run_pod
from helpers.local import CLIPFARM, wait_until
from helpers.nvml import Gpus, compile_stub
from helpers.operators import Operator, Runs, command

VRAM = {"checkInterval": "0.5s", "staleAfter": "3s", "perClip": "1Gi", "allocationTime": "0s"}


def spec(*nodes: str, workers: int = 2) -> dict:
    """A run that renders on the GPUs of one node, or of all."""
    pod = {"nodeSelector": {"kubernetes.io/hostname": nodes[0]}} if nodes else {}
    return {"workers": workers, "render": {"device": "cuda", "pod": pod}, "vram": VRAM}


@pytest.fixture
def started(definition: ControlPlane, driven: Namespace, start_operator) -> Operator:
    """An operator that looks for exporters' pods in this test's namespace, with labels of its own."""
    name = driven.name
    found = [f"--dcgm-selector=app={name}", f"--agent-selector=agent={name}"]
    places = [f"--dcgm-namespace={name}", f"--agent-namespace={name}"]
    return start_operator(driven, *found, *places, "--dcgm-interval=0")


def dcgm(namespace: Namespace) -> dict[str, str]:
    return {"app": namespace.name}


def gpus(runs: Runs) -> dict[str, dict]:
    """What the run's status says of each GPU, by its node and number."""
    return {f"{gpu['node']}/{gpu['gpu']}": gpu for gpu in runs.status().get("gpus", ())}


def known(runs: Runs, gpu: str, used: str) -> None:
    """Wait until a GPU's use is shown; where only words change a status is written every 10 s."""
    wait_until(lambda: gpus(runs).get(gpu, {}).get("used") == used, f"{gpu} at {used}", limit=40)


def held(runs: Runs, text: str) -> str:
    """Wait until the run is held with a text in its condition; return the whole."""

    def look() -> str:
        found = runs.condition("VRAMHeld")
        return found["message"] if found["status"] == "True" and text in found["message"] else ""

    return wait_until(look, f"the hold: {text}", limit=40)


def test_an_exporter_is_found_by_its_pods_labels_and_tells_of_the_node_that_the_pod_is_on(
    started, driven: Namespace, export
):
    runs = Runs(driven)
    runs.create(clips=4, **spec("node-0"))
    message = held(runs, "no DCGM exporter pod")
    where = f"no DCGM exporter pod (app={driven.name} in {driven.name}) or vram-agent pod"
    assert f"GPU memory of node-0 is unknown ({where}" in message
    assert "set CLIPFARM_DCGM_NAMESPACE (in the chart: vram.dcgm.namespace) to NAMESPACE" in message
    assert not runs.at_work()

    # It calls its node by its own pod's name, as some do.
    exporter = export(1000.0, 2000.0, host="dcgm-exporter-x2v")
    run_pod(driven, "exporter", "node-0", exporter.port, dcgm(driven))
    runs.running(2)
    known(runs, "node-0/0", "6%")
    known(runs, "node-0/1", "12%")
    assert {gpu["total"] for gpu in gpus(runs).values()} == {"16.0 GiB"}


def test_an_exporter_that_goes_leaves_its_node_unknown_and_one_that_comes_back_makes_it_known(
    started, driven: Namespace, export
):
    runs, exporter = Runs(driven), export(1000.0)
    run_pod(driven, "exporter", "node-0", exporter.port, dcgm(driven))
    runs.create(clips=6, **spec("node-0"))
    first = runs.running(2)
    end_pod(driven, "exporter")
    known(runs, "node-0/0", "unknown")
    driven.patch("v1/pods", first[0]["metadata"]["name"], "status", body={"status": {"phase": "Succeeded"}})
    message = held(runs, "no DCGM exporter pod")
    assert "memory of GPU 0 on node-0 is unknown (the last reading is " in message

    run_pod(driven, "exporter-again", "node-0", exporter.port, dcgm(driven))
    runs.running(2)
    known(runs, "node-0/0", "6%")


def test_an_exporter_that_moves_tells_of_its_new_node_and_of_the_old_one_no_more(started, driven: Namespace, export):
    runs, exporter = Runs(driven), export(1000.0)
    run_pod(driven, "exporter", "node-0", exporter.port, dcgm(driven))
    runs.create(clips=4, **spec())
    known(runs, "node-0/0", "6%")
    end_pod(driven, "exporter")
    exporter.used = (8000.0,)
    run_pod(driven, "exporter", "node-1", exporter.port, dcgm(driven))
    known(runs, "node-1/0", "49%")
    known(runs, "node-0/0", "unknown")


def test_each_node_is_held_by_its_own_exporter(started, driven: Namespace, export):
    runs, full, broken = Runs(driven), export(16000.0), export(1000.0)
    broken.used = None
    run_pod(driven, "full", "node-0", full.port, dcgm(driven))
    run_pod(driven, "broken", "node-1", broken.port, dcgm(driven))
    full.labels = ',namespace="team",pod="notebook-0"'
    runs.create("on-full", clips=1, **spec("node-0"))
    runs.create("on-broken", clips=1, **spec("node-1"))

    def message(name: str, text: str) -> str:
        return wait_until(
            lambda: text in (found := runs.condition("VRAMHeld", name)["message"]) and found, f"{name}: {text}", 30
        )

    assert "GPU 0 on node-0 at 98%" in message("on-full", "at 98%")
    assert f"pod {driven.name}/broken: 500 " in message("on-broken", "500")
    wait_until(lambda: runs.status("on-full")["gpus"][0].get("heldBy") == "team/notebook-0", "its holder", 30)

    broken.used = (2000.0,)
    runs.running(1, "on-broken")
    full.used = (1000.0,)
    runs.running(1, "on-full")


def test_a_prometheus_is_asked_and_its_samples_age_counts(definition, driven: Namespace, start_operator, prometheus):
    start_operator(
        driven,
        "--dcgm-selector",
        "",
        "--agent-selector",
        "",
        "--prometheus-url",
        prometheus.url,
        "--dcgm-interval",
        "0",
    )
    runs = Runs(driven)
    runs.create(clips=4, **spec("node-0"))
    runs.running(2)
    known(runs, "node-0/0", "25%")
    prometheus.stopped_at = prometheus.now()  # it answers as ever; its own source is dead
    known(runs, "node-0/0", "unknown")
    assert "the last reading is" in gpus(runs)["node-0/0"]["reading"]
    prometheus.stopped_at = None
    known(runs, "node-0/0", "25%")


def test_the_agent_tells_a_cluster_and_people_see_it(started, driven: Namespace, definition, tmp_path):
    if shutil.which("cc") is None:
        (pytest.fail if os.environ.get("CI") else pytest.skip)("no C compiler (apt-get install gcc libc6-dev)")
    stand_in = Gpus(tmp_path / "gpus.txt", compile_stub(tmp_path))
    stand_in.write(f"9000 10000 500\nprocess {os.getpid()} 8192\nmig 7 2000 5000 100 1g.5gb\nmig 9 100 5000 0 1g.5gb\n")
    log = tmp_path / "agent.log"
    with log.open("w") as output:
        agent = subprocess.Popen(
            [*CLIPFARM, "vram-agent", "--port", "0", "--interval", "0.5", "--node", "node-0"],
            env=os.environ | stand_in.environment,
            stderr=output,
        )
    try:
        wait_until(lambda: "/metrics at " in log.read_text(), "the agent to serve", limit=30)
        port = int(log.read_text().partition("/metrics at ")[2].splitlines()[0].rpartition(":")[2])
        run_pod(driven, "agent", "node-0", port, {"agent": driven.name})
        runs = Runs(driven)
        runs.create(clips=2, **spec("node-0"))
        wait_until(lambda: len(runs.status().get("gpus", ())) == 2, "both instances", limit=30)
        uuids = [gpu["uuid"] for gpu in runs.status()["gpus"]]
        assert uuids == ["GPU-00000000-stub/7", "GPU-00000000-stub/9"]

        stand_in.write(f"9000 10000 500\nprocess {os.getpid()} 8192\n")
        wait_until(lambda: [gpu["used"] for gpu in runs.status()["gpus"]] == ["95%"], "the whole GPU", limit=30)
        wait_until(lambda: "8 GiB" in runs.status()["gpus"][0].get("heldBy", ""), "its holder", limit=30)
        shown = command(definition, "vram", "--namespace", driven.name)
        assert shown.returncode == 0, shown.stderr
        [row] = [line.split() for line in shown.stdout.splitlines() if "node-0" in line]
        assert row[:5] == ["node-0", "0", "95%", "9.3", "GiB"]
        assert row[6] == "closed"
        assert f"(pid {os.getpid()}) 8 GiB" in " ".join(row)
        families = text_string_to_metric_families(started.http("/metrics")[1])
        told = {sample.name: sample.value for family in families for sample in family.samples if "gpu" in sample.labels}
        assert told["clipfarm_vram_used_bytes"] == 9000 * 2**20
        assert told["clipfarm_vram_total_bytes"] == 9500 * 2**20
        assert 0 <= told["clipfarm_vram_reading_age_seconds"] < 5
        assert told["clipfarm_vram_gate_closed"] == 1

        stand_in.take_away()
        wait_until(lambda: "mismatch" in gpus(runs)["node-0/0"]["reading"], "the reason", limit=30)
        shown = command(definition, "vram", "--all-namespaces")
        assert "GPU 0 on node-0 is unknown: the last reading is" in shown.stdout
    finally:
        agent.terminate()
        agent.wait(timeout=10)


def test_where_no_run_tells_of_a_gpu_one_line_says_so(definition, driven: Namespace):
    shown = command(definition, "vram", "--namespace", driven.name)
    assert (shown.returncode, shown.stderr) == (0, "")
    assert shown.stdout.startswith(f"no unfinished run in the namespace {driven.name} reports a GPU")
