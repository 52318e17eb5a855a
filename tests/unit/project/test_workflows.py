"""Workflows run what .ci/run runs, with actions that cannot change, and hooks run what `make lint` does."""

import importlib
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from helpers.chart import ROOT

WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))


def parsed(name: str) -> dict[str, Any]:
    return yaml.safe_load((ROOT / ".github" / "workflows" / name).read_text())


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_actions_are_pinned_by_a_commit_beside_their_version(path):
    used = re.findall(r"^ *- uses: (.+)$", path.read_text(), re.M)
    assert used
    assert not [line for line in used if not re.fullmatch(r"[\w./-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", line)]


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_a_workflow_says_what_it_may_do_and_how_long(path):
    found = yaml.safe_load(path.read_text())
    assert found["permissions"] in ({}, {"contents": "read"})
    assert all("timeout-minutes" in job for job in found["jobs"].values())
    checkouts = [
        step for job in found["jobs"].values() for step in job["steps"] if "actions/checkout" in step.get("uses", "")
    ]
    assert all(step["with"]["persist-credentials"] is False for step in checkouts)


def test_the_stages_of_continuous_integration_are_the_same_everywhere():
    stages = set(re.findall(r"\bmake ([a-z-]+)", (ROOT / ".ci" / "run").read_text()))
    jobs = parsed("ci.yml")["jobs"].values()
    run = "\n".join(step.get("run", "") for job in jobs for step in job["steps"])
    assert stages == {"lint", "test", "test-node"}
    assert set(re.findall(r"\bmake ([a-z-]+)$", run, re.M)) == stages


def test_programs_are_cached_under_a_key_that_has_all_they_are_made_from(monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "tools" / "cluster")
    binaries = importlib.import_module("control_plane.binaries")
    steps = parsed("ci.yml")["jobs"]["test"]["steps"]
    cached = next(step["with"] for step in steps if "actions/cache" in step.get("uses", ""))
    folders = {Path(line).name for line in cached["path"].split()}
    assert folders == {module.name for module in binaries.SOURCES}
    assert "steps.go.outputs.go-version" in cached["key"]
    assert [step["id"] for step in steps if "actions/setup-go" in step.get("uses", "")] == ["go"]
    hashed = {path for pattern in re.findall(r"'([^']+)'", cached["key"]) for path in ROOT.glob(pattern)}
    sources = {module / name for module, names in binaries.SOURCES.items() for name in names}
    assert sources <= hashed


def test_steps_call_what_is_in_the_clone():
    text = "".join(path.read_text() for path in WORKFLOWS)
    called = set(re.findall(r"\b(tools/[a-z/-]+)", text)) - {"tools/cluster/go"}
    assert {"tools/release", "tools/images", "tools/cluster/cluster"} <= called
    assert not [name for name in called if not (ROOT / name).exists()]
    targets = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.M)
    hooks = [
        hook
        for repo in yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())["repos"]
        for hook in repo["hooks"]
    ]
    made = [word for hook in hooks if hook["entry"].startswith("make ") for word in hook["entry"].split()[1:]]
    assert made
    assert not [word for word in made if word not in targets]
