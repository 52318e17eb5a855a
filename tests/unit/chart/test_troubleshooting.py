"""docs/troubleshooting.md has an entry for each reason that the code can give, and for no other."""

import ast
import importlib
import inspect
import re
import signal
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import get_args

import pytest

import clipfarm_encode.files.clips
import clipfarm_encode.pipeline
import clipfarm_encode.saving
import clipfarm_encode.watching.claiming
from clipfarm.cluster.acting import invalid
from clipfarm.cluster.api import endings
from clipfarm.cluster.observing import failures
from clipfarm.cluster.reporting import clips, conditions, exporting
from clipfarm.cluster.reporting.standard_conditions import StandardKind
from clipfarm.crd import reference
from clipfarm.decide import starting
from clipfarm.decide.rules.table import Reason
from clipfarm.decide.status import Status
from clipfarm.local import state
from clipfarm.run_status import UNSEEN
from clipfarm.status_parts import ExportPhase
from clipfarm_contract import features
from clipfarm_contract import tree as folder_tree
from clipfarm_contract.program import why_not
from clipfarm_contract.result import ChildReport
from clipfarm_render import checks, conservation, experiments, own_experiment
from clipfarm_render.experiments import showing, staging
from clipfarm_render.supervising import attempt, children, written
from clipfarm_render.supervising.allowance import Allowance
from clipfarm_render.supervising.child import ChildEnd, End, Tail
from helpers.chart import ROOT

DOCUMENT = (ROOT / "docs" / "troubleshooting.md").read_text()
STORIES = [importlib.import_module(name) for name in experiments.STORIES.values()]


def rows(section: str) -> list[list[str]]:
    """Cells of the table in a section, without its head."""
    text = DOCUMENT.partition(f"\n## {section}\n")[2].partition("\n## ")[0]
    lines = [line for line in text.splitlines() if line.startswith("| ")][2:]
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines]


def tree(module: ModuleType) -> ast.Module:
    return ast.parse(Path(inspect.getfile(module)).read_text())


FINISHED = {"Succeeded", "CompletedWithFailures", "Failed"}
WORKED_OUT = {
    # What stands in the code where a reason is no text, and what it can be there.
    "status.phase": FINISHED,
    "hold.reason": set(),  # they have a section of their own
    "word(first)": set(),  # they have a section of their own
    "held[0].hold.reason": set(),
    "made.phase": set(get_args(ExportPhase)),
}


def given(function: Callable) -> set[str]:
    """Reasons that a function of conditions.py can return."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(inspect.getsource(function))):
        if isinstance(node, ast.Return):
            assert isinstance(node.value, ast.Tuple), "a finding is written out where it is returned"
            reason = node.value.elts[1]
            found |= {reason.value} if isinstance(reason, ast.Constant) else WORKED_OUT[ast.unparse(reason)]
    return found


CONDITIONS = {
    "Ready": conditions.ready,
    "Progressing": conditions.progressing,
    "VRAMHeld": conditions.vram_held,
    "StorageReady": conditions.storage_ready,
    "EncoderReady": conditions.encoder_ready,
    "NodeLost": conditions.node_lost,
    "Exported": exporting.exported,
}


@pytest.mark.parametrize("kind", CONDITIONS)
def test_each_reason_of_a_condition_has_its_entry(kind: str):
    expected = given(CONDITIONS[kind])
    if kind == "Ready":
        assert '"Invalid"' in inspect.getsource(invalid.refused)
        [unseen] = UNSEEN["conditions"]
        expected |= {"Invalid", unseen["reason"]}
    reasons = [row[0].strip("`") for row in rows(kind)]
    assert sorted(reasons) == sorted(expected)


def test_the_table_of_rules_is_up_to_date():
    assert reference.updated(DOCUMENT, reference.rules()) == DOCUMENT, "run `make docs`"
    assert [row[0].strip("`") for row in rows("Rules that hold clips back")] == [*Reason]


def test_each_word_of_a_pod_that_does_not_get_to_work_has_its_entry():
    listed = [row[0].strip("`") for row in rows("Pods that do not start")]
    assert listed == [*starting.WORDS, starting.OTHER]


def test_each_condition_has_its_section():
    kinds = conditions.Kind.__args__
    assert set(CONDITIONS) == set(kinds)
    assert [kind for kind in kinds if f"\n## {kind}\n" in DOCUMENT] == list(kinds)
    assert f"\n## {', '.join(StandardKind.__args__)}\n" in DOCUMENT


def test_a_run_that_has_finished_is_in_one_of_these_phases():
    source = inspect.getsource(Status.finished.fget)
    assert set(re.findall('"(\\w+)"', source)) == FINISHED


def ended(how: End, status: int, ran_out: str = "", *, on_gpu: bool = True) -> tuple[str, str]:
    line = "System is out of GPU memory"
    end = ChildEnd(
        how=how, status=status, vram_line=line, ran_out=ran_out, tail=Tail(), cpu_seconds=0.0, peak_rss_mib=0.0
    )
    return "render", attempt._judge(end, ChildReport(), on_gpu=on_gpu)[1]


def ran_out(*, on_shared_work: bool) -> str:
    """What is said when a clip's time, or that of work for the whole run, is over."""
    allowance = Allowance(600.0, 0.0)
    return allowance.spend(1e9, on_shared_work=on_shared_work)


def messages(module: ModuleType, error: str) -> list[str]:
    """Texts of an exception wherever it is raised, with something for what is filled in."""
    found = []
    for node in ast.walk(tree(module)):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == error:
            text = node.args[0]
            if isinstance(text, ast.JoinedStr):
                parts = [
                    part.value if isinstance(part, ast.Constant) else FILLED.get(ast.unparse(part.value), "x")
                    for part in text.values
                ]
                found.append("".join(parts))
            elif isinstance(text, ast.Constant):
                found.append(text.value)
    assert found
    return found


LEFT_BEHIND = "a process that the renderer has left behind cannot be ended"
FILLED = {
    "where": "rgb/frame_00003.png",
    "MOST_BYTES": str(folder_tree.MOST_BYTES),
    "MOST_DEPTH": str(folder_tree.MOST_DEPTH),
    "own.manifest.name": "clip.json",
    "FEATURES": "feature_maps",
    "prefix": "rgb/",
    "where.name": "rgb",
}


def reasons() -> set[tuple[str, str]]:
    """Stage and reason of each way in which a clip can fail, as the code words it."""
    found = {
        ended(End.TIMEOUT, -9, ran_out(on_shared_work=False)),
        ended(End.TIMEOUT, -9, ran_out(on_shared_work=True)),
        ended(End.OUT_OF_VRAM, 1),
        ended(End.EXITED, 2),
        ended(End.EXITED, 2, on_gpu=False),
        ("render", endings._reason({"reason": "Error", "exitCode": 2, "message": "usage: beans"}, {}, ())),
        ("render", f"COMMAND: {why_not(['no-such-renderer'])}"),
        ended(End.EXITED, 3),
        ended(End.EXITED, -signal.SIGKILL),
        ended(End.EXITED, -signal.SIGSEGV),
        ("render", endings._reason({"reason": "OOMKilled", "exitCode": 137}, {}, ())),
        ("render", endings._reason({"reason": "Error", "exitCode": 3}, {}, ())),
        ("render", f"no room; {failures._too_often(3, 2)}"),
        ("render", clips.NOT_TRIED),
        ("render", "clip_00001: made with another seed; it is left as it is"),
        ("render", state.unreadable(1, "clip.json: Input/output error (EIO)", 0.0).reason),
        ("render", attempt._describe(OSError(28, "No space left on device", "/clips/clip_00001"))),
    }
    for module in (checks, *STORIES):
        found |= {("render", text) for text in messages(module, "CheckError")}
    found |= {("render", f"{law}: body_0 ...") for law in conservation.IN_GROUPS}
    assert 'f"violation: {' in inspect.getsource(conservation)
    found |= {("render", "violation: continuity hold, ...")}
    found |= {("render", text) for module in (staging, showing) for text in messages(module, "ClipError")}
    found |= {("render", text) for text in messages(folder_tree, "UnfitError") + messages(written, "UnfitError")}
    assert f'"{LEFT_BEHIND}"' in inspect.getsource(attempt)
    assert ".filename}, line {" in inspect.getsource(own_experiment.in_module)
    found.add(("render", f"{own_experiment.WHERE}: slide.py, line 43: KeyError: 'sped'"))
    assert 'f"its report is unreadable: {error}"' in inspect.getsource(children)
    found |= {("render", LEFT_BEHIND), ("render", "its report is unreadable: report: not JSON")}
    for module in (clipfarm_encode.files.clips, clipfarm_encode.pipeline, clipfarm_encode.saving):
        found |= {("encode", text) for text in messages(module, "ClipError")}
    return found | {("encode", text) for text in encoder_texts()}


def encoder_texts() -> set[str]:
    import clipfarm_encode.files.decoding

    assert '"its folder is gone"' in inspect.getsource(clipfarm_encode.saving)
    told = inspect.getsource(features)
    assert 'f"made of {show(name)} instead of ' in told
    assert 'f"an array of shape {head.shape}, ' in told
    assert 'f"{where.name}: {regular.describe(error)}"' in told
    of_features = {"made of clip_00001 instead of clip_00007", "an array of shape (8, 3), expected 16 tokens"}
    assert 'f"cannot be claimed: {why}"' in inspect.getsource(clipfarm_encode.watching.claiming)
    of_features.add("cannot be claimed: claims/m/clip_00000.0: No space left on device (ENOSPC)")
    assert 'f"cannot be read: {where}: {regular.describe(error)}"' in inspect.getsource(clipfarm_encode.files.clips)
    of_features |= {"clip.json: not JSON", "clip.json: missing"}  # of a clip that was damaged since it was rendered
    of_features.add("cannot be read: rgb/frame_00003.png: Input/output error (EIO)")
    unread = {f"{name}: Input/output error (EIO)" for name in ("vjepa2_vitl16.npy", "vjepa2_vitl16.json")}
    return {*messages(clipfarm_encode.files.decoding, "ClipError"), "its folder is gone"} | of_features | unread


def patterns() -> list[tuple[str, str]]:
    return [(row[0], re.escape(row[1].strip("`")).replace("…", ".*")) for row in rows("Failed clips")]


def test_each_way_to_fail_has_its_entry():
    known = patterns()
    missing = [
        (stage, reason)
        for stage, reason in sorted(reasons())
        if not any(stage == at and re.fullmatch(pattern, reason) for at, pattern in known)
    ]
    assert not missing


def test_each_entry_is_a_way_to_fail():
    all_reasons = reasons()
    stale = [
        (stage, pattern)
        for stage, pattern in patterns()
        if not any(stage == at and re.fullmatch(pattern, reason) for at, reason in all_reasons)
    ]
    assert not stale


def test_what_is_checked_of_a_clip_has_its_entry_by_name():
    rules = [*checks.COMMON, *(rule for module in STORIES for rule in module.CHECKS)]
    names = {rule.__name__ for rule in rules} | {"frames"}
    listed = {row[1].strip("`").partition(":")[0] for row in rows("Failed clips") if row[0] == "render"}
    assert names <= listed
