"""clipfarm vram-agent as a process, on the stand-in for NVIDIA's library: what it serves, whatever the driver does."""

import os
import signal
import subprocess
import time

import pytest
import urllib3
from prometheus_client.parser import text_string_to_metric_families

from clipfarm.vram.dcgm import parse
from clipfarm.vram.users import user_name
from clipfarm.world import GpuId, Holder
from helpers.local import CLIPFARM, clipfarm, wait_until


class Agent:
    """The process, and its /metrics."""

    def __init__(self, environment, log, *options):
        self._log = log
        with log.open("w") as output:
            self.process = subprocess.Popen(
                [*CLIPFARM, "vram-agent", "--port", "0", "--interval", "0.1", "--node", "here", *options],
                env=os.environ | environment,
                stderr=output,
            )

    def log(self):
        return self._log.read_text()

    def url(self):
        wait_until(lambda: "/metrics at " in self.log() or self.process.poll(), "the agent to serve", limit=30)
        return self.log().partition("/metrics at ")[2].splitlines()[0]

    def text(self):
        answer = urllib3.request("GET", f"{self.url()}/metrics", timeout=5)
        assert answer.status == 200
        return answer.data.decode()

    def answer(self, now=1000.0):
        return parse(self.text(), now)

    def values(self, name):
        """Return a metric's values by the labels that tell GPUs apart."""
        samples = [s for family in text_string_to_metric_families(self.text()) for s in family.samples]
        return {(s.labels.get("gpu"), s.labels.get("GPU_I_ID")): s.value for s in samples if s.name == name}

    def end(self):
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(timeout=10)


@pytest.fixture
def start(tmp_path, gpus):
    started = []

    def start_agent(*options, environment=None):
        started.append(Agent(environment or gpus.environment, tmp_path / "agent.log", *options))
        return started[-1]

    yield start_agent
    for agent in started:
        if agent.process.poll() is None:
            agent.process.kill()
            agent.process.wait()
        assert "Traceback" not in agent.log()


def test_it_serves_what_programs_use_and_the_drivers_reserve_apart(start, gpus):
    gpus.show(0.25, 0.5, total=1000, reserved=200)
    agent = start()
    wait_until(lambda: len(agent.answer().readings) == 2, "both GPUs")
    assert agent.values("DCGM_FI_DEV_FB_USED") == {("0", ""): 250, ("1", ""): 500}
    assert agent.values("DCGM_FI_DEV_FB_FREE") == {("0", ""): 750, ("1", ""): 500}
    assert agent.values("DCGM_FI_DEV_FB_RESERVED") == {("0", ""): 200, ("1", ""): 200}
    first, second = agent.answer(now=1000.0).readings
    assert (first.gpu, first.used_mib, first.total_mib) == (GpuId("here", 0, "GPU-00000000-stub"), 250, 1000)
    assert (second.gpu.index, second.used_mib) == (1, 500)
    assert 990 < first.at < 1000
    text = agent.text()
    for label in (
        'pci_bus_id="00000000:01:00.0"', 'device="nvidia0"', 'modelName="NVIDIA Stand-in"', 'Hostname="here"',
        'GPU_I_PROFILE=""', 'GPU_I_ID=""',
    ):  # fmt: skip
        assert label in text
    gpus.show(0.75, total=1000)
    wait_until(lambda: agent.answer().readings[0].used_mib == 750, "the new value")
    assert agent.end() == 143


def test_an_old_driver_tells_no_reserve_and_none_is_made_up(start, gpus):
    gpus.show(0.25, total=1000, reserved=200, header="v1")
    agent = start()
    wait_until(lambda: agent.answer().readings, "the GPU")
    assert agent.values("DCGM_FI_DEV_FB_USED") == {("0", ""): 450}
    assert agent.values("DCGM_FI_DEV_FB_RESERVED") == {}


def test_instances_stand_each_on_their_own_and_in_the_place_of_their_gpu(start, gpus):
    gpus.write(
        "4000 80000 600\nmig 7 100 9000 50 1g.10gb\nmig 7 100 9000 50 1g.10gb\nmig 9 200 19000 50 2g.20gb\n300 1000 0\n"
    )
    agent = start()
    wait_until(lambda: len(agent.answer().readings) == 3, "two instances and a GPU")
    assert [(str(reading.gpu), reading.used_mib) for reading in agent.answer().readings] == [
        ("GPU 0/7 on here", 100), ("GPU 0/9 on here", 200), ("GPU 1 on here", 300),
    ]  # fmt: skip
    assert {reading.gpu.uuid for reading in agent.answer().readings[:2]} == {"GPU-00000000-stub"}
    assert 'GPU_I_PROFILE="2g.20gb"' in agent.text()
    assert agent.values("clipfarm_agent_gpus") == {(None, None): 3}


def test_a_gpu_that_is_split_another_way_is_no_more_what_it_was(start, gpus):
    def told(*names):
        wait_until(lambda: [str(reading.gpu) for reading in agent.answer().readings] == list(names), str(names))

    gpus.write("100 1000 0\nmig 7 100 9000 50 1g.10gb\nmig 9 200 19000 50 2g.20gb\n")
    agent = start()
    told("GPU 0/7 on here", "GPU 0/9 on here")
    gpus.write("100 1000 0\nmig 3 100 9000 50 1g.10gb\n")
    told("GPU 0/3 on here")
    gpus.write("100 1000 0\n")
    told("GPU 0 on here")


def test_who_uses_a_gpu_is_told_by_name_and_by_how_much(start, gpus):
    mine = os.getpid()
    gpus.write(f"700 1000 0\nprocess {mine} 500\nprocess 4000000 150\nprocess 4000001 unknown\n")
    agent = start()
    wait_until(lambda: agent.answer().readings, "the GPU")
    [reading] = agent.answer().readings
    assert reading.holders == (
        Holder(user_name(mine), 500.0), Holder("pid 4000000", 150.0), Holder("pid 4000001", None),
    )  # fmt: skip
    assert f"(pid {mine})" in reading.holders[0].name


def test_a_gpu_that_fails_takes_nothing_from_the_others_and_its_last_value_grows_old(start, gpus):
    gpus.write("100 1000 0\n200 1000 0\n")
    agent = start()
    wait_until(lambda: len(agent.answer().readings) == 2, "both GPUs")
    gpus.write("100 1000 0\nlost\n300 1000 0\n")
    wait_until(lambda: agent.values("DCGM_FI_DEV_FB_USED")["1", ""] == 300, "the one that works")
    wait_until(lambda: agent.values("clipfarm_agent_reading_age_seconds")["0", ""] > 1, "the other to grow old")
    assert agent.values("clipfarm_agent_reading_age_seconds")["1", ""] < 1
    assert agent.answer().problem == "NVML, GPU 0: GPU is lost"
    assert "NVML, GPU 0: GPU is lost" in agent.log()


def test_a_driver_that_goes_away_and_comes_back(start, gpus):
    gpus.show(0.5)
    agent = start()
    wait_until(lambda: agent.answer().readings, "the GPU")
    gpus.take_away()
    wait_until(lambda: "mismatch" in agent.answer().problem, "the problem")
    assert agent.values("DCGM_FI_DEV_FB_USED") == {("0", ""): 5000}, "the last value, as old as it is"
    gpus.show(0.6)
    wait_until(lambda: agent.values("DCGM_FI_DEV_FB_USED") == {("0", ""): 6000}, "the new value")
    assert agent.answer().problem == ""
    assert agent.log().count("mismatch") == 1, "said once"


def test_a_driver_that_hangs_is_seen_by_the_age_and_the_agent_still_answers_and_ends(start, gpus):
    gpus.show(0.5)
    agent = start()
    wait_until(lambda: agent.answer().readings, "the GPU")
    gpus.show(0.9, header="hang")
    wait_until(lambda: "has not answered for" in agent.answer().problem, "the problem")
    [reading] = agent.answer(now=1000.0).readings
    assert reading.used_mib == 5000
    assert reading.at < 999
    began = time.monotonic()
    assert agent.end() == 143
    assert time.monotonic() - began < 5


def test_without_a_driver_it_goes_on_serving_and_says_that_there_is_no_gpu(start):
    agent = start(environment={"LD_LIBRARY_PATH": "/nonexistent"})
    wait_until(lambda: "NVML: " in agent.answer().problem, "the reason")
    assert agent.answer().readings == ()
    assert agent.values("clipfarm_agent_gpus") == {(None, None): 0}
    assert "no GPU here: NVML: " in agent.log()
    assert agent.log().count("no GPU here") == 1


def test_an_address_that_cannot_be_had_is_one_line():
    done = clipfarm("vram-agent", "--host", "203.0.113.7", "--port", "1")
    assert done.returncode == 2
    assert "203.0.113.7:1: " in done.stderr.splitlines()[-1]
    assert "Traceback" not in done.stderr


UID = "0a1b2c3d-1111-2222-3333-444455556666"


@pytest.mark.parametrize(
    ("cgroup", "name"),
    [
        (f"0::/kubepods.slice/kubepods-pod{UID.replace('-', '_')}.slice/cri-1.scope\n", "team/friction-encode-x"),
        (f"0::/kubepods/besteffort/pod{UID}/abc\n", "team/friction-encode-x"),
        ("0::/kubepods/pod99999999-1111-2222-3333-444455556666/abc\n", "pod 99999999-1111-2222-3333-444455556666"),
        ("0::/user.slice/session-1.scope\n", "python3 (pid 7)"),
        (None, "python3 (pid 7)"),
    ],
)  # fmt: skip
def test_a_process_is_called_by_its_pod_where_its_control_group_says_so(tmp_path, cgroup, name):
    (tmp_path / "proc" / "7").mkdir(parents=True)
    (tmp_path / "proc" / "7" / "comm").write_text("python3\n")
    if cgroup is not None:
        (tmp_path / "proc" / "7" / "cgroup").write_text(cgroup)
    (tmp_path / "logs" / f"team_friction-encode-x_{UID}").mkdir(parents=True)
    assert user_name(7, tmp_path / "proc", tmp_path / "logs") == name


def test_a_process_that_is_not_to_be_seen_has_its_number_for_a_name(tmp_path):
    assert user_name(7, tmp_path, tmp_path) == "pid 7"
