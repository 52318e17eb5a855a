"""README's cluster part from a clone alone, and a small node with the chart's own requests.

README's lines up to the installation have run before the first test.
"""

from pathlib import Path

import pytest
import yaml

from helpers.cluster import Namespace, Object
from helpers.documents import ROOT, Shell, never_ends
from helpers.local import clipfarm, wait_until
from helpers.node import ENCODE, EXPORT, INSTALLATION, OPERATOR, PAUSE, README, RENDER, Node
from helpers.operators import Runs

pytestmark = pytest.mark.timeout(1200)
LIMIT = 900.0
CLAIMS, VOLUMES, PODS = "v1/persistentvolumeclaims", "v1/persistentvolumes", "v1/pods"


@pytest.mark.blender
@pytest.mark.torch
def test_readmes_lines_end_with_every_clip_of_the_demo_and_its_features(node: Node, reader: Shell, tmp_path: Path):
    demo = ROOT / "examples" / "demo.yaml"
    clips = yaml.safe_load(demo.read_text())["spec"]["clips"]["end"] + 1
    shown = tmp_path / "shown"
    with node.two_cpus():
        for command in README[INSTALLATION + 1 :]:
            if never_ends(command):
                reader.watch(command, shown, "Succeeded", LIMIT)
            else:
                reader.run(command)
        status = Runs(Namespace(node.api, "default")).finished("demo", LIMIT)
    assert (status["phase"], status["rendered"], status["encoded"]) == ("Succeeded", clips, clips)
    head, *rows = (line.split() for line in shown.read_text().splitlines())
    assert dict(zip(head, rows[-1], strict=False))["PHASE"] == "Succeeded"

    claim = Namespace(node.api, "default").get(CLAIMS, "demo-clips")
    folder = volume(node, claim)
    verified = clipfarm("verify", folder)
    assert not verified.returncode, verified.stdout + verified.stderr
    reader.run(f"kubectl delete -f {demo}")
    reader.run("kubectl delete pvc demo-clips")
    wait_until(lambda: phase(node, claim["spec"]["volumeName"]) == "Available", "the volume to be free again")
    assert list(folder.iterdir()) == []


def test_building_and_loading_images_leaves_nothing_in_the_folder_for_temporary_files(reader: Shell):
    assert list(Path(reader.environment["TMPDIR"]).iterdir()) == []


def test_images_of_which_nothing_has_changed_are_neither_built_nor_loaded_again(reader: Shell):
    [line] = [command for command in README if command.startswith("tools/images")]
    said = reader.run(f"{line} 2>&1").splitlines()
    names = [f"docker.io/library/{image.reference}" for image in (OPERATOR, RENDER, ENCODE, EXPORT)]
    assert [line for line in said if line.endswith(" is built")] == [f"images: {name} is built" for name in names]
    assert [line for line in said if line.endswith(" is there")] == [f"images: {name} is there" for name in names]


@pytest.mark.blender
@pytest.mark.torch
def test_three_clips_and_a_large_encoder_on_two_cpus_end_without_help(node: Node, tmp_path: Path):
    """Operator, encoder and renderer ask for more than such a node has: the encoder makes room."""
    manifest = yaml.safe_load((ROOT / "examples" / "demo.yaml").read_text())
    manifest["metadata"]["name"] = "large"
    spec = manifest["spec"] | {"clips": {"start": 0, "end": 2}}
    spec["experiment"]["phases"] = [spec["experiment"]["phases"][0] | {"clips": spec["clips"]}]
    # What they ask for is what matters here; the demo's own pictures are made above.
    spec["experiment"] |= {"frames": 8, "resolution": 64, "samplesPerPixel": 4}
    spec["encode"] = {"model": "vjepa2_vitl16", "weights": {"source": "random"}}
    spec["render"] = spec.get("render", {}) | {"keepPods": "all"}  # looked at below
    folder = tmp_path / "volume"
    folder.mkdir()
    with node.two_cpus(), node.namespace("test-large", folder, small=False) as place:
        place.create(manifest | {"spec": spec | {"storage": {"claimName": "clips"}}})
        status = place.runs.finished("large", LIMIT)
        print(place.explain())
        assert (status["phase"], status["rendered"], status["encoded"]) == ("Succeeded", 3, 3), status
        asked = [pod["spec"]["containers"][0]["resources"]["requests"]["cpu"] for pod in place.pods("render")]
        assert asked == ["1"] * 3


def test_a_volume_is_free_and_empty_again_once_its_claim_is_gone(node: Node):
    namespace = Namespace(node.api, "default")
    free = [each["metadata"]["name"] for each in node.api.request("GET", node.api.path(VOLUMES))["items"]
            if each["spec"]["storageClassName"] == "local" and "claimRef" not in each["spec"]]  # fmt: skip
    for number in range(len(free)):
        namespace.create(CLAIMS, claim(f"taken-{number}"))
    names = [f"taken-{number}" for number in range(len(free))]
    wait_until(lambda: all(bound(namespace, name) for name in names), "every volume to be taken")
    namespace.create(CLAIMS, claim("waits"))

    folder = volume(node, namespace.get(CLAIMS, names[0]))
    namespace.create(PODS, writer(names[0]))
    wait_until(lambda: namespace.get(PODS, "writer")["status"]["phase"] == "Running", "a pod to use the volume")
    (folder / "clip_00000" / "rgb").mkdir(parents=True)
    (folder / "clip_00000" / "rgb" / "frame_00000.png").write_bytes(b"a frame")
    (folder / "link").symlink_to(ROOT)
    namespace.delete(CLAIMS, names[0])
    # While a pod uses it, a claim that is deleted stays, and so does what is on its volume.
    assert namespace.get(CLAIMS, names[0])["metadata"]["deletionTimestamp"]
    assert (folder / "clip_00000").exists()
    namespace.delete(PODS, "writer")

    wait_until(lambda: bound(namespace, "waits"), "the volume to be taken by the claim that waits")
    assert volume(node, namespace.get(CLAIMS, "waits")) == folder
    assert list(folder.iterdir()) == []
    assert (ROOT / "README.md").exists()  # nothing was removed through the link
    for name in (*names[1:], "waits"):
        namespace.delete(CLAIMS, name)
    wait_until(lambda: all(phase(node, name) == "Available" for name in free), "all volumes to be free again")


def claim(name: str) -> Object:
    spec = {"accessModes": ["ReadWriteMany"], "resources": {"requests": {"storage": "1Gi"}}}
    return {"metadata": {"name": name}, "spec": spec}


def writer(name: str) -> Object:
    secure = {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}
    container = {"name": "main", "image": PAUSE, "securityContext": secure,
                 "volumeMounts": [{"name": "clips", "mountPath": "/clips"}]}  # fmt: skip
    return {
        "metadata": {"name": "writer"},
        "spec": {
            "securityContext": {"runAsNonRoot": True, "runAsUser": 65532, "seccompProfile": {"type": "RuntimeDefault"}},
            "terminationGracePeriodSeconds": 1,
            "containers": [container],
            "volumes": [{"name": "clips", "persistentVolumeClaim": {"claimName": name}}],
        },
    }


def bound(namespace: Namespace, name: str) -> bool:
    return namespace.get(CLAIMS, name)["status"]["phase"] == "Bound"


def volume(node: Node, claimed: Object) -> Path:
    """The folder of this machine that a claim has."""
    found = node.api.request("GET", node.api.path(VOLUMES, None, claimed["spec"]["volumeName"]))
    return Path(found["spec"]["local"]["path"])


def phase(node: Node, name: str) -> str:
    return str(node.api.request("GET", node.api.path(VOLUMES, None, name))["status"]["phase"])
