"""The command line of each component. Everything listens on 127.0.0.1 and logs in as the administrator."""

import json
from pathlib import Path

from control_plane import machine, volumes
from control_plane.binaries import kwok_stages
from control_plane.folder import Folder, write

# In the order of their start. Those after it only talk to the API server, so it has to be ready first.
START_ORDER = ("etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler", "kwok")
CLIENTS = ("kube-controller-manager", "kube-scheduler", "kwok")
# Only where the machine itself is a node.
NODE = ("containerd", "dns", "volumes", "kubelet")
# Only where it was asked for.
KARPENTER = "karpenter"

# Nodes with this annotation are kwok's; any other node has a kubelet.
FAKE_NODE = {"kwok.x-k8s.io/node": "fake"}
OWN_STAGES = Path(__file__).resolve().parents[1] / "stages"
INSTANCE_TYPES = Path(__file__).resolve().parents[1] / "karpenter" / "instance_types.json"

# With its default of 20 requests a second the Job controller makes about two pods a second.
REQUESTS_A_SECOND = 1000


def command(component: str, folder: Folder, programs: dict[str, Path]) -> list[str]:
    """Program and arguments; configuration files are written on the way."""
    arguments = {
        "etcd": _etcd,
        "kube-apiserver": _apiserver,
        "kube-controller-manager": _controller_manager,
        "kube-scheduler": _scheduler,
    }
    if component == "containerd":
        return machine.containerd(folder)
    if component == "dns":
        return machine.dns(folder, programs["dns"])
    if component == "volumes":
        return volumes.command(folder)
    if component == "kubelet":
        return machine.kubelet(folder, programs["kubelet"])
    if component == KARPENTER:
        return [str(programs[KARPENTER]), *_karpenter(folder)]
    if component == "kwok":
        return [str(programs["kwok"]), *_kwok(folder, programs["kwok"])]
    return [str(programs[component]), *arguments[component](folder)]


def _etcd(folder: Folder) -> list[str]:
    clients = f"http://127.0.0.1:{folder.port('etcd')}"
    peers = f"http://127.0.0.1:{folder.port('etcd-peer')}"
    return [
        "--name=etcd",
        f"--data-dir={folder.etcd_data}",
        f"--listen-client-urls={clients}",
        f"--advertise-client-urls={clients}",
        f"--listen-peer-urls={peers}",
        f"--initial-advertise-peer-urls={peers}",
        f"--initial-cluster=etcd={peers}",
        "--log-level=warn",
        # Data survives the end of any process, but not a power cut: nobody needs that here, and it is much faster.
        "--unsafe-no-fsync",
    ]


def _apiserver(folder: Folder) -> list[str]:
    return [
        f"--etcd-servers=http://127.0.0.1:{folder.port('etcd')}",
        "--bind-address=127.0.0.1",
        f"--secure-port={folder.port('kube-apiserver')}",
        f"--tls-cert-file={folder.certificate}",
        f"--tls-private-key-file={folder.certificate_key}",
        # A loopback address may not stand in the Endpoints of the service "kubernetes": they stay empty.
        "--advertise-address=127.0.0.1",
        "--endpoint-reconciler-type=none",
        "--service-cluster-ip-range=10.96.0.0/16",
        "--service-account-issuer=https://kubernetes.default.svc",
        f"--service-account-key-file={folder.account_key}",
        f"--service-account-signing-key-file={folder.account_key}",
        f"--token-auth-file={folder.tokens}",
        "--authorization-mode=Node,RBAC",
        "--allow-privileged=true",
        # A kubelet, where there is one, is asked for logs at its address, and knows the API server by this.
        "--kubelet-preferred-address-types=InternalIP",
        f"--kubelet-client-certificate={folder.certificate}",
        f"--kubelet-client-key={folder.certificate_key}",
    ]


def _controller_manager(folder: Folder) -> list[str]:
    return [
        f"--kubeconfig={folder.kubeconfig}",
        "--secure-port=0",
        "--leader-elect=false",
        f"--service-account-private-key-file={folder.account_key}",
        f"--root-ca-file={folder.certificate}",
        "--use-service-account-credentials=false",
        f"--kube-api-qps={REQUESTS_A_SECOND}",
        f"--kube-api-burst={2 * REQUESTS_A_SECOND}",
        # On a machine that is short of CPU heartbeats come late. A test that wants a lost node says so with a taint.
        "--node-monitor-grace-period=10m",
    ]


def _scheduler(folder: Folder) -> list[str]:
    config = {
        "apiVersion": "kubescheduler.config.k8s.io/v1",
        "kind": "KubeSchedulerConfiguration",
        "clientConnection": {
            "kubeconfig": str(folder.kubeconfig),
            "qps": REQUESTS_A_SECOND,
            "burst": 2 * REQUESTS_A_SECOND,
        },
        "leaderElection": {"leaderElect": False},
    }
    write(folder.scheduler_config, json.dumps(config, indent=2) + "\n")
    return [f"--config={folder.scheduler_config}", "--secure-port=0"]


def _kwok(folder: Folder, program: Path) -> list[str]:
    # With its default of 4 pods at a time kwok itself is what a benchmark of many short pods measures. The others are
    # the defaults, which kwok 0.8 drops as soon as it reads a configuration.
    options = {
        "apiVersion": "config.kwok.x-k8s.io/v1alpha1",
        "kind": "KwokConfiguration",
        "options": {
            "podPlayStageParallelism": 16,
            "nodePlayStageParallelism": 4,
            "nodeLeaseParallelism": 4,
            "podsOnNodeSyncParallelism": 1,
            "enablePodsOnNodeSyncListPager": True,
        },
    }
    stages = [*kwok_stages(program), *sorted(OWN_STAGES.glob("*.yaml"))]
    write(folder.kwok_config, "\n---\n".join([json.dumps(options), *(path.read_text() for path in stages)]))
    return [
        f"--kubeconfig={folder.kubeconfig}",
        f"--config={folder.kwok_config}",
        "--manage-all-nodes=false",
        "--manage-nodes-with-annotation-selector=" + ",".join(f"{key}={value}" for key, value in FAKE_NODE.items()),
        "--node-lease-duration-seconds=40",
        # Addresses for as many pods as fit; the default is enough for 254.
        "--cidr=10.244.0.1/16",
    ]


def environment(component: str, folder: Folder) -> dict[str, str]:
    """Return what a component reads from its environment beside the machine's own."""
    if component == KARPENTER:
        # It refuses to run against versions that it does not know, and wants to be a pod of some namespace.
        return {
            "KUBECONFIG": str(folder.kubeconfig),
            "SYSTEM_NAMESPACE": "kube-system",
            "KUBERNETES_MIN_VERSION": "1.19.0-0",
        }
    # kwok reads a configuration of the user's own from its work folder, unless it is told of another one.
    return {"KWOK_WORKDIR": str(folder.path / "kwok")}


def _karpenter(folder: Folder) -> list[str]:
    return [
        "-disable-leader-election=true",
        # It has no option for their address: these two alone listen on all of the machine's.
        f"-metrics-port={folder.port('karpenter-metrics')}",
        f"-health-probe-port={folder.port('karpenter-health')}",
        f"-instance-types-file-path={INSTANCE_TYPES}",
        "-log-level=info",
        # A pod that waits brings its node at once, and an empty node goes soon.
        "-batch-idle-duration=200ms",
        "-batch-max-duration=1s",
    ]
