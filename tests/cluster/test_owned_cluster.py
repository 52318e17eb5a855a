"""A cluster that is for a process goes with it: Ctrl-C, or the kernel, leaves no control plane behind."""

import json
import subprocess
from pathlib import Path

import psutil

from helpers.cluster import ControlPlane, cluster
from helpers.local import gone, wait_until


def test_a_cluster_goes_with_the_process_that_it_is_for(control_plane: ControlPlane, tmp_path: Path):
    owner = subprocess.Popen(["sleep", "600"])
    name, folder = f"{control_plane.name}-owned", tmp_path / "owned"
    try:
        done = cluster("up", "--name", name, "--dir", folder, "--nodes", 0, "--owner", owner.pid)
        assert not done.returncode, done.stderr
        found = json.loads(cluster("status", "--name", name, "--dir", folder, "--json").stdout)["components"]
        components = [psutil.Process(component["pid"]) for component in found.values()]
        owner.kill()
        owner.wait(30)
        wait_until(lambda: gone(components), "the end of the control plane")
        wait_until(lambda: not folder.exists(), "the end of its data")
    finally:
        owner.kill()
        owner.wait(30)
        cluster("down", "--name", name, "--dir", folder)
