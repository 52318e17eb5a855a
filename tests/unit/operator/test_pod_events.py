"""What the kubelet says in Events alone: of which pods they are read, and which word counts."""

import pytest

from clipfarm.cluster.process.pod_events import MOST_PODS, QUIET_SECONDS, asked, newest
from clipfarm.world import Running, Standing

NOW = 1000.0
LATER = {"lastObservedTime": "2026-11-24T10:01:00Z"}
MOUNT = 'MountVolume.SetUp failed for volume "pv" :  mount failed: exit status 32\nno such share'


def event(reason, at, message="why", kind="Warning", **fields):
    return {"type": kind, "reason": reason, "message": message, "lastTimestamp": f"2026-11-24T10:00:{at:02}Z"} | fields


@pytest.mark.parametrize(
    ("events", "word"),
    [
        ([], None),
        ([event("Scheduled", 1, kind="Normal")], None),
        ([event("FailedMount", 1, MOUNT)], ("FailedMount", " ".join(MOUNT.split()))),
        (
            [event("FailedMount", 9), event("FailedCreatePodSandBox", 5, "no runtime for x is configured")],
            ("FailedMount", "why"),
        ),
        ([event("Pulling", 5, 'Pulling image "i"', "Normal")], ("Pulling", 'Pulling image "i"')),
        ([event("Pulling", 5, kind="Normal"), event("Pulled", 9, kind="Normal")], None),
        ([event("FailedMount", 1), event("Pulling", 5, "it", "Normal")], ("Pulling", "it")),
        (
            [
                event("FailedMount", 3),
                event("FailedAttachVolume", 1, series={"lastObservedTime": "2026-11-24T10:01:00Z"}),
            ],
            ("FailedAttachVolume", "why"),
        ),
    ],
)
def test_the_newest_word_counts_that_keeps_a_pod_from_starting(events, word):
    assert newest(events) == word


def pod(state, since, reason=""):
    return Running(0, "n", None, None, standing=Standing(state, since, reason))


def test_events_are_read_of_the_few_pods_that_have_started_longest_without_a_word():
    pods = {
        "released": pod("Released", 0.0),
        "working": pod("Working", 0.0),
        "pulls": pod("Starting", 0.0, "ImagePullBackOff"),
        "young": pod("Starting", NOW - QUIET_SECONDS + 1),
        "mounts": pod("Starting", NOW - 50, "FailedMount"),
        **{f"silent-{age}": pod("Bound" if age % 2 else "Starting", NOW - age) for age in (20, 61, 30, 41)},
    }
    assert asked(pods, NOW) == ["silent-61", "mounts", "silent-41"]
    assert len(asked(pods, NOW)) == MOST_PODS
