"""The programs: built once for each content of go.mod, kept in the cache, shared by everybody who asks."""

import fcntl
import hashlib
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from control_plane.errors import ClusterError, MissingError, program

MODULE = Path(__file__).resolve().parents[1]
# A module of its own: its Kubernetes libraries are older than the control plane's.
KARPENTER = MODULE / "karpenter"
INSTALL_GO = "install Go 1.26 or newer, https://go.dev/dl/"

PACKAGES = {
    "etcd": "./etcd",
    "kube-apiserver": "k8s.io/kubernetes/cmd/kube-apiserver",
    "kube-controller-manager": "k8s.io/kubernetes/cmd/kube-controller-manager",
    "kube-scheduler": "k8s.io/kubernetes/cmd/kube-scheduler",
    "kwok": "sigs.k8s.io/kwok/cmd/kwok",
    # Built only when asked for by name.
    "kubectl": "k8s.io/kubernetes/cmd/kubectl",
    "helm": "helm.sh/helm/v4/cmd/helm",
    "kubelet": "k8s.io/kubernetes/cmd/kubelet",
    "dns": "./dns",
    # With its provider whose nodes kwok plays.
    "karpenter": "sigs.k8s.io/karpenter/kwok",
}
CONTROL_PLANE = ("etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler", "kwok")

# What setup-envtest puts into the folder that KUBEBUILDER_ASSETS names.
ASSETS = ("etcd", "kube-apiserver", "kubectl")

# What makes a program another one, beside the compiler.
SOURCES = {MODULE: ("go.mod", "go.sum", "etcd/main.go", "dns/main.go"), KARPENTER: ("go.mod", "go.sum")}

# What kwok does with nodes and claims is kept in its module as files, not in the program.
KWOK_STAGES = (
    "node/fast/node-initialize.yaml",
    "volume/fast/pv-bind.yaml",
    "volume/fast/pv-delete.yaml",
    "volume/fast/pvc-delete.yaml",
    "volume/fast/pvc-provision.yaml",
)
# And so are the definitions of what Karpenter works with.
KARPENTER_CRDS = (
    "pkg/apis/crds/karpenter.sh_nodepools.yaml",
    "pkg/apis/crds/karpenter.sh_nodeclaims.yaml",
    "pkg/apis/crds/karpenter.sh_nodeoverlays.yaml",
    "kwok/apis/crds/karpenter.kwok.sh_kwoknodeclasses.yaml",
)


def cache_folder() -> Path:
    """Where everything of this tool is kept: clusters and programs."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "clipfarm"


def ensure(names: Sequence[str] = CONTROL_PLANE) -> dict[str, Path]:
    """Paths of the programs, after building those that are not there yet."""
    assets = Path(os.environ.get("KUBEBUILDER_ASSETS") or "/nonexistent")
    found = {name: assets / name for name in names if name in ASSETS and (assets / name).is_file()}
    for module in (MODULE, KARPENTER):
        wanted = [name for name in names if name not in found and _module(name) == module]
        if wanted:
            go = Go(module)
            folder = cache_folder() / module.name / go.key() / "bin"
            if not all((folder / name).is_file() for name in wanted):
                _build(go, folder, wanted)
            # The time of the last use, by which the oldest are found.
            os.utime(folder.parent)
            found |= {name: folder / name for name in wanted}
    return {name: found[name] for name in names}


def _module(name: str) -> Path:
    return KARPENTER if name == "karpenter" else MODULE


def kwok_stages(kwok: Path) -> list[Path]:
    """Files of kwok's own module, copied beside the program when that was built."""
    return [kwok.with_name("kwok-stages") / Path(name).name for name in KWOK_STAGES]


def karpenter_definitions(karpenter: Path) -> list[Path]:
    """Files of Karpenter's own module, copied beside the program when that was built."""
    return [karpenter.with_name("karpenter-crds") / Path(name).name for name in KARPENTER_CRDS]


class Go:
    """The Go tool chain, run inside one of the two modules."""

    def __init__(self, module: Path) -> None:
        self.module = module
        self.path = program("go", INSTALL_GO)
        self.version = self.output("env", "GOVERSION")
        numbers = re.match(r"go(\d+)\.(\d+)", self.version)
        if numbers and (int(numbers[1]), int(numbers[2])) < (1, 26):
            raise MissingError(f"{self.path} is {self.version}: {INSTALL_GO}")

    def output(self, *arguments: str) -> str:
        """What a go command prints."""
        done = subprocess.run(
            [self.path, *arguments],
            cwd=self.module,
            env=self.environment(),
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise ClusterError(f"go {' '.join(arguments)}: {done.stderr.strip()}")
        return done.stdout.strip()

    def environment(self) -> dict[str, str]:
        """Static programs that do not depend on the machine's C library, and no workspace around this module."""
        return os.environ | {"CGO_ENABLED": "0", "GOWORK": "off"}

    def key(self) -> str:
        """Name of the folder for programs of just these sources and this compiler."""
        digest = hashlib.sha256(self.version.encode())
        for name in SOURCES[self.module]:
            digest.update((self.module / name).read_bytes())
        return digest.hexdigest()[:16]

    def build(self, name: str, output: Path) -> subprocess.Popen[str]:
        """Start the compiler for one program."""
        flags = " ".join(["-s -w", *(f"-X {key}={value}" for key, value in self._stamps().items())])
        return subprocess.Popen(
            [self.path, "build", "-trimpath", "-ldflags", flags, "-o", str(output), PACKAGES[name]],
            cwd=self.module,
            env=self.environment(),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )

    def _stamps(self) -> dict[str, str]:
        if self.module != MODULE:
            return {}
        version = re.search(r"k8s\.io/kubernetes v(\d+)\.(\d+)\.\d+", (MODULE / "go.mod").read_text())
        if version is None:
            raise ClusterError(f"{MODULE / 'go.mod'}: no version of k8s.io/kubernetes")
        # Without these the server calls itself v0.0.0, and clients that compare versions go wrong.
        stamps = {"gitVersion": version[0].split()[1], "gitMajor": version[1], "gitMinor": version[2]}
        return {f"k8s.io/component-base/version.{key}": value for key, value in stamps.items()}


def _build(go: Go, folder: Path, wanted: list[str]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    with _lock(folder.with_name("lock")):
        missing = [name for name in wanted if not (folder / name).is_file()]
        for number, name in enumerate(missing, 1):
            what = f"{name} ({number} of {len(missing)})"
            if number == 1 and len(missing) > 2:
                what += "; all of them take about 12 minutes the first time"
            _build_one(go, folder, name, what)


def _build_one(go: Go, folder: Path, name: str, what: str) -> None:
    _say(f"building {what}")
    begun = time.monotonic()
    # Under a name of its own until it is whole: whoever looks for the program never finds half of it.
    unfinished = folder / f".{name}.unfinished"
    compiler = go.build(name, unfinished)
    try:
        while True:
            try:
                _, errors = compiler.communicate(timeout=30)
                break
            except subprocess.TimeoutExpired:
                _say(f"building {name}: {_elapsed(begun)}")
    except BaseException:
        compiler.kill()
        compiler.wait()
        raise
    if compiler.returncode:
        raise ClusterError(f"go build {PACKAGES[name]}: {' | '.join(errors.strip().splitlines()[-5:])}")
    if name == "kwok":
        _copy(go, "sigs.k8s.io/kwok", [f"kustomize/stage/{file}" for file in KWOK_STAGES], folder / "kwok-stages")
    if name == "karpenter":
        _copy(go, "sigs.k8s.io/karpenter", KARPENTER_CRDS, folder / "karpenter-crds")
    unfinished.rename(folder / name)
    _say(f"built {name} in {_elapsed(begun)}")


def _copy(go: Go, module: str, names: Sequence[str], folder: Path) -> None:
    there = Path(go.output("list", "-m", "-f", "{{.Dir}}", module))
    folder.mkdir(exist_ok=True)
    for name in names:
        (folder / Path(name).name).write_bytes((there / name).read_bytes())


@contextmanager
def _lock(path: Path) -> Iterator[None]:
    with path.open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            _say("somebody else is building; waiting for that")
            fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _elapsed(begun: float) -> str:
    minutes, seconds = divmod(int(time.monotonic() - begun), 60)
    return f"{minutes} min {seconds} s" if minutes else f"{seconds} s"


def _say(text: str) -> None:
    print(f"cluster: {text}", file=sys.stderr, flush=True)
