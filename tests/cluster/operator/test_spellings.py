"""What `clipfarm local` reads in a file is what kubectl and the API server make of it."""

from pathlib import Path

from clipfarm.run import Run, RunSpec
from clipfarm.run_file import RunFileError, parse_run
from helpers.cluster import Namespace
from helpers.operators import RUNS, Runs
from helpers.spellings import SPELLINGS


def test_local_takes_what_the_api_server_stores_and_refuses_what_it_refuses(
    runs: Runs, namespace: Namespace, kubectl, tmp_path
):
    for number, spelling in enumerate(SPELLINGS):
        Path(tmp_path, f"{number:03}.yaml").write_bytes(_renamed(spelling.content, f"s{number:03}"))
    said = kubectl("apply", "-f", tmp_path).stderr
    stored = {run["metadata"]["name"]: run for run in namespace.list(RUNS)}
    assert len(stored) > len(SPELLINGS) / 3, said
    differences = {}
    for number, spelling in enumerate(SPELLINGS):
        there, here = _stored(stored.get(f"s{number:03}")), _read(spelling.content)
        if spelling.stricter:
            assert (there is not None, here) == (True, None), f"{spelling.name}\n{said}"
        elif there != here:
            differences[spelling.name] = (there, here)
    assert differences == {}, said


def _renamed(content: bytes, name: str) -> bytes:
    """A file whose run has a name of its own, whatever its encoding."""
    for encoding in ("utf-8", "utf-16-le", "utf-16-be"):
        for before, after in (("name: friction", f"name: {name}"), ('"name": "friction"', f'"name": "{name}"')):
            content = content.replace(before.encode(encoding), after.encode(encoding))
    return content


def _stored(run: dict | None) -> RunSpec | None:
    parts = ("apiVersion", "kind", "metadata", "spec")
    return None if run is None else Run.model_validate({part: run[part] for part in parts}).spec


def _read(content: bytes) -> RunSpec | None:
    try:
        return parse_run(content, "run.yaml").spec
    except RunFileError:
        return None
