"""Make the golden files: the objects that each example becomes in a cluster."""

from pathlib import Path

from clipfarm.manifests.preview import as_yaml
from clipfarm.run_file import read_run

ROOT = Path(__file__).resolve().parents[2]
EXAMPLES = sorted([*ROOT.glob("examples/*.yaml"), *ROOT.glob("examples/*/*.yaml")])
HEAD = "# Made by `make golden` from {}; what a change of the code changes here, it changes for every user.\n"


def golden(example: Path) -> Path:
    """Return where an example's golden file is."""
    name = "-".join(example.relative_to(ROOT / "examples").with_suffix("").parts)
    return Path(__file__).with_name(f"{name}.yaml")


def text(example: Path) -> str:
    """Return what the golden file should hold."""
    return HEAD.format(example.relative_to(ROOT)) + as_yaml(read_run(example))


if __name__ == "__main__":
    for path in EXAMPLES:
        golden(path).write_text(text(path))
