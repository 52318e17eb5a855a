"""Make the golden files of the chart: what it renders with each file of values beside them."""

import os
import subprocess
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[2]
VALUES = sorted((HERE / "values").glob("*.yaml"))
HEAD = "# Made by `make chart` from values/{}; what a change of the chart changes here, it changes for every user.\n"


def golden(values: Path) -> Path:
    """Return where the golden file of some values is."""
    return HERE / values.name


def text(values: Path, helm: str) -> str:
    """Return what the golden file should hold."""
    chart = ROOT / "charts" / "clipfarm"
    command = [helm, "template", "clipfarm", chart, "--namespace", "clipfarm", "--values", values]
    environment = os.environ | {"KUBECONFIG": "/nonexistent"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(done.stderr.strip())
    return HEAD.format(values.name) + done.stdout


if __name__ == "__main__":
    build = [ROOT / "tools" / "cluster" / "cluster", "build", "helm"]
    program = subprocess.run(build, stdout=subprocess.PIPE, text=True, check=True).stdout.strip()
    for path in VALUES:
        golden(path).write_text(text(path, program))
