"""The node's volumes: folders of this machine that claims take, and that are free again once their claim is gone.

``python volumes.py FOLDER`` does what a storage driver does when a claim is deleted: it looks for volumes without their
claim, empties them, and offers them to the next one.
"""

import shutil
import sys
import time
from pathlib import Path
from typing import Any

if __name__ == "__main__":
    # The folder of this file, which is first there, is a package's: its modules are not to be found by their own names.
    sys.path[0] = str(Path(__file__).resolve().parents[1])

from control_plane.api import Api, ApiError
from control_plane.folder import Folder

COUNT = 3
CLASS = "local"
VOLUMES = "/api/v1/persistentvolumes"
DRIVER = "clipfarm.dev/node-volumes"
PAUSE = 1.0
"""Seconds from one look to the next."""
BOUND_BY_CONTROLLER = "pv.kubernetes.io/bound-by-controller"


def add(api: Api, folder: Folder, node: str) -> None:
    """Add the storage class, which is the default one, and its volumes, as far as they are missing."""
    api.create(
        "/apis/storage.k8s.io/v1/storageclasses",
        {
            "metadata": {"name": CLASS, "annotations": {"storageclass.kubernetes.io/is-default-class": "true"}},
            # Nothing makes volumes on demand: a claim takes one of those that are there.
            "provisioner": "kubernetes.io/no-provisioner",
            "reclaimPolicy": "Delete",
        },
    )
    for number in range(COUNT):
        name = f"local-{number}"
        path = folder.path / "volumes" / name
        path.mkdir(parents=True, exist_ok=True)
        api.create(VOLUMES, _volume(name, path, node))


def command(folder: Folder) -> list[str]:
    """Return the command line of the process that frees volumes."""
    return [sys.executable, __file__, str(folder.path)]


def free_released(api: Api) -> list[str]:
    """Empty each volume whose claim is gone, and offer it again; returns their names."""
    released = [volume for volume in api.request("GET", VOLUMES)["items"] if _is_released(volume)]
    for volume in released:
        # By now no pod uses it: a claim outlives the pods that do.
        _empty(Path(volume["spec"]["local"]["path"]))
        metadata, spec = volume["metadata"], volume["spec"]
        del spec["claimRef"]
        metadata["annotations"].pop(BOUND_BY_CONTROLLER, None)
        # With the version that was read: if the volume has changed meanwhile, this fails and the next look decides.
        api.request("PUT", f"{VOLUMES}/{metadata['name']}", volume)
    return [volume["metadata"]["name"] for volume in released]


def run(folder: Folder) -> None:
    """Free volumes until the process is ended."""
    api = Api(folder)
    while True:
        try:
            for name in free_released(api):
                print(f"{name}: its claim is gone; emptied, and free again", flush=True)
        except (ApiError, OSError) as error:
            # The API server is away, or a file is in use: the next look tries again.
            print(error, file=sys.stderr, flush=True)
        time.sleep(PAUSE)


def _is_released(volume: dict[str, Any]) -> bool:
    annotations = volume["metadata"].get("annotations", {})
    ours = annotations.get("pv.kubernetes.io/provisioned-by") == DRIVER
    return ours and volume["status"].get("phase") == "Released" and "deletionTimestamp" not in volume["metadata"]


def _empty(path: Path) -> None:
    for child in path.iterdir():
        if child.is_dir() and not child.is_symlink():
            shutil.rmtree(child)
        else:
            child.unlink()


def _volume(name: str, path: Path, node: str) -> dict[str, object]:
    here = {"key": "kubernetes.io/hostname", "operator": "In", "values": [node]}
    return {
        "metadata": {
            "name": name,
            # Kubernetes leaves a volume of a driver that it does not know to this driver, when its claim is gone.
            "annotations": {"pv.kubernetes.io/provisioned-by": DRIVER},
        },
        "spec": {
            "capacity": {"storage": "1Ti"},
            "accessModes": ["ReadWriteOnce", "ReadWriteMany"],
            "persistentVolumeReclaimPolicy": "Delete",
            "storageClassName": CLASS,
            # Unlike with hostPath the kubelet gives its files to the pods' fsGroup.
            "local": {"path": str(path)},
            "nodeAffinity": {"required": {"nodeSelectorTerms": [{"matchExpressions": [here]}]}},
        },
    }


if __name__ == "__main__":
    run(Folder("", Path(sys.argv[1])))
