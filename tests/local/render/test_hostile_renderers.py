"""Renderers of users' own that do what they should not: each is a failed clip with one reason, and harms no other."""

from pathlib import Path

import pytest

from clipfarm_contract.examining import damage
from clipfarm_contract.exit_codes import ExitCode
from helpers.local import wait_until

from .conftest import Supervisor, alive, python

WRITE = "pathlib.Path(folder, 'seed.txt').write_text(os.environ['CLIP_SEED'])"
FRAMES = "[pathlib.Path(folder, 'rgb', f'frame_{i:05d}.png').write_text('x') for i in range(4)]"
RGB = "os.mkdir(folder + '/rgb')"
REPORT = "report = os.environ['CLIP_REPORT']"

DEEDS = {
    "links to a file elsewhere": (
        "os.symlink('/etc/passwd', folder + '/a')",
        "a: a symbolic link, expected a regular file or a folder",
    ),
    "links to a folder elsewhere": (
        "os.symlink('/etc', folder + '/a')",
        "a: a symbolic link, expected a regular file or a folder",
    ),
    "links to nothing": (
        "os.mkdir(folder + '/b'); os.symlink('nothing', folder + '/b/a')",
        "b/a: a symbolic link, expected a regular file or a folder",
    ),
    "links to a file of its own": (
        "os.symlink('seed.txt', folder + '/a')",
        "a: a symbolic link, expected a regular file or a folder",
    ),
    "has a hard link to a file elsewhere": (
        "pathlib.Path(folder + '.other').touch(); os.link(folder + '.other', folder + '/a')",
        "a: a hard link to a file outside of the clip, expected a copy",
    ),
    "leaves a FIFO": ("os.mkfifo(folder + '/a')", "a: a FIFO, expected a regular file or a folder"),
    "leaves a socket": (
        "import socket; socket.socket(socket.AF_UNIX).bind(folder + '/a')",
        "a: a socket, expected a regular file or a folder",
    ),
    "writes a clip.json of its own": (
        "open(folder + '/clip.json', 'w').write('{}')",
        "clip.json: written by the renderer, expected none: the supervisor makes it",
    ),
    "writes features of its own": (
        "os.mkdir(folder + '/feature_maps'); open(folder + '/feature_maps/vjepa2_vitl16.npy', 'w')",
        "feature_maps: made by the renderer, expected none: that folder is the encoder's",
    ),
    "puts a link in the place of its folder": (
        "import shutil; shutil.rmtree(folder); os.symlink(os.path.dirname(folder), folder)",
        "its folder was replaced by something that is no folder",
    ),
    "puts a file in the place of its folder": (
        "import shutil; shutil.rmtree(folder); open(folder, 'w')",
        "its folder was replaced by something that is no folder",
    ),
    "writes a name that is not UTF-8": (
        "open(os.fsencode(folder) + b'/caf\\xe9', 'w')",
        "caf\\xe9: its name is not UTF-8",
    ),
    "writes a name with a terminal's escapes that is not UTF-8": (
        "open(os.fsencode(folder) + b'/\\x1b[2Jcaf\\xe9', 'w')",
        "\\x1b[2Jcaf\\xe9: its name is not UTF-8",
    ),
    "makes 1,500 folders inside each other": (
        "os.chdir(folder); [(os.mkdir('x'), os.chdir('x')) for _ in range(1500)]; open('a', 'w')",
        f"{'x/' * 30}...: more than 32 folders inside each other",
    ),
    "makes folders whose path is longer than the system takes": (
        "os.chdir(folder); [(os.mkdir('x' * 200), os.chdir('x' * 200)) for _ in range(40)]; open('a', 'w')",
        f"{'x' * 60}...: a path of more than 1024 bytes",
    ),
    "fills its temporary folder with 1,500 folders, and fails": (
        "os.chdir(os.environ['TMPDIR']); [(os.mkdir('x'), os.chdir('x')) for _ in range(1500)]; sys.exit('deep')",
        "exit status 1; last line: deep",
    ),
    "leaves a folder that may not be entered, and fails": (
        "os.mkdir(folder + '/a'); open(folder + '/a/b', 'w'); os.chmod(folder + '/a', 0); sys.exit('shut')",
        "exit status 1; last line: shut",
    ),
    "writes frames with too few digits": (
        f"{RGB}; [pathlib.Path(folder, 'rgb', f'frame_{{i}}.png').touch() for i in range(4)]",
        "rgb/frame_0.png: found 4 files, expected 4: frame_00000.png to frame_00003.png",
    ),
    "leaves a frame out": (
        f"{RGB}; {FRAMES}; os.remove(folder + '/rgb/frame_00002.png')",
        "rgb/frame_00002.png: missing, found 3 of 4 frames",
    ),
    "writes a frame too many": (
        f"{RGB}; {FRAMES}; pathlib.Path(folder, 'rgb', 'frame_00004.png').touch()",
        "rgb/frame_00004.png: found 5 files, expected 4: frame_00000.png to frame_00003.png",
    ),
    "leaves a stray picture among its frames": (
        f"{RGB}; {FRAMES}; pathlib.Path(folder, 'rgb', 'preview.png').touch()",
        "rgb/preview.png: found 5 files, expected 4: frame_00000.png to frame_00003.png",
    ),
    "reports into a FIFO": (f"{REPORT}; os.mkfifo(report); sys.exit(1)", "its report is unreadable: report: not a"),
    "reports without an end": (
        f"{REPORT}; open(report, 'w').write('[' * 2_000_000); sys.exit(1)",
        "its report is unreadable: report: more than 1048576 bytes",
    ),
    "reports half a character": (
        f'{REPORT}; open(report, \'w\').write(\'{{"checks": {{"a": "\\\\ud800"}}}}\'); sys.exit(1)',
        "its report is unreadable: report.checks: cannot be written again (",
    ),
    "reports a number without an end": (
        f"{REPORT}; open(report, 'w').write('{{\"seconds\": {{\"a\": 1e999}}}}'); sys.exit(1)",
        "its report is unreadable: report: not JSON (1e999 is larger than any number)",
    ),
    "reports what a terminal would obey": (
        f"{REPORT}; open(report, 'w').write('{{\"reason\": \"red \\\\u001b[31m beans\"}}'); sys.exit(1)",
        "red \\x1b[31m beans",
    ),
    "prints what a terminal would obey": (
        "print('\\x1b]0;title\\x07\\x1b[2J\\x9b31m \\u202ebeans'); sys.exit(1)",
        "exit status 1; last line: \\x1b]0;title\\x07\\x1b[2J\\x9b31m \\u202ebeans",
    ),
}


@pytest.fixture(scope="module")
def block(tmp_path_factory):
    """One block in which every other clip does a deed, and those between do nothing wrong."""
    supervisor = Supervisor(tmp_path_factory.mktemp("hostile"))
    codes = [code for code, _ in DEEDS.values()]
    chosen = f"index = int(os.environ['CLIP_INDEX']); exec({codes!r}[index // 2] if index % 2 else '')"
    return supervisor(*python(f"{WRITE}; {chosen}"), count=2 * len(DEEDS) + 1)


@pytest.mark.parametrize("deed", DEEDS)
def test_one_that(block, deed):
    index = 2 * list(DEEDS).index(deed) + 1
    result, reason = block.result(index), DEEDS[deed][1]
    assert (result.exit_code, result.reason[: len(reason)]) == (ExitCode.FAILED, reason)
    assert not block.run.clip(index).folder.exists()


def test_what_they_do_harms_no_other_clip_and_nobodys_terminal(block):
    assert block.code == ExitCode.FAILED
    assert block.run.clips() == list(range(0, 2 * len(DEEDS) + 1, 2))
    assert [damage(block.run.clip(index)) for index in block.run.clips()] == [[]] * (len(DEEDS) + 1)
    assert [name for name in block.left_over() if not name.endswith(".other")] == []
    assert not any("Traceback" in line or "\x1b" in line or "\x9b" in line for line in block.lines)


def test_one_whose_names_and_links_stay_inside_of_its_clip(supervise):
    code = f"{RGB}; {FRAMES}; open(folder + '/rgb/.hidden', 'w'); os.link(folder + '/seed.txt', folder + '/again.txt')"
    ended = supervise(*python(f"{WRITE}; {code}; open(folder + '/Käse\\t🧀', 'w')"))
    assert ended.code == ExitCode.OK, ended.lines
    assert damage(ended.run.clip(0)) == []


# A grandchild in a session of its own, which no signal to the child's group reaches. It holds the clip's folder open,
# and would write into it for ever.
FLED = """
import os, time
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        descriptor = os.open(folder, os.O_RDONLY)
        open(os.environ['PIDS'], 'a').write(f'{os.getpid()}\\n')
        number = 0
        while True:
            number += 1
            try:
                os.close(os.open(f'late{number % 50}.txt', os.O_CREAT | os.O_WRONLY, dir_fd=descriptor))
            except FileNotFoundError:
                pass  # the folder is removed: this goes on all the same
            time.sleep(0.005)
    os._exit(0)
while not os.path.exists(os.environ['PIDS']):
    time.sleep(0.01)
"""


@pytest.mark.parametrize("end", ["", "sys.exit(1)", "time.sleep(60)"])
def test_one_that_leaves_a_process_in_a_session_of_its_own(supervise, tmp_path, monkeypatch, end):
    monkeypatch.setenv("PIDS", str(pids := tmp_path / "pids"))
    ended = supervise(*python(f"{WRITE}; exec({FLED!r}); {end}"), options=["--timeout", "2"])
    pid = int(pids.read_text())
    wait_until(lambda: not alive(pid), "what the renderer started ended")
    assert ended.code == (ExitCode.FAILED if end else ExitCode.OK), ended.lines
    assert ended.left_over() == []
    if not end:
        before = sorted(path.name for path in ended.run.clip(0).folder.iterdir())
        assert "late1.txt" in before
        assert damage(ended.run.clip(0)) == []


def test_a_process_that_fled_is_ended_when_the_supervisor_is_stopped(supervise, tmp_path, monkeypatch):
    monkeypatch.setenv("PIDS", str(pids := tmp_path / "pids"))
    process = supervise.start(*python(f"exec({FLED!r}); time.sleep(600)"))
    wait_until(lambda: pids.exists() and pids.read_text().endswith("\n"), "its numbers are written")
    process.terminate()
    process.communicate(timeout=20)
    assert process.returncode == 143
    pid = int(Path(pids).read_text())
    wait_until(lambda: not alive(pid), "what the renderer started ended", 5)
    assert supervise.run.attempts() == []
